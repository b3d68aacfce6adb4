package stats

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// Runtime is the [Source] of the process itself: `live` (always 1) and the
// runtime.* gauges and counters. It reads nothing that stops the world. What
// the system does not tell (no /proc) is left out.
type Runtime struct {
	start time.Time
}

// NewRuntime returns the source for a process that started at start.
func NewRuntime(start time.Time) *Runtime { return &Runtime{start: start} }

// goMetrics names the samples that come from package runtime/metrics.
var goMetrics = []struct {
	metric string // see runtime/metrics.All
	name   string
	kind   Kind
}{
	{"/memory/classes/heap/objects:bytes", "runtime.heap_alloc_bytes", Gauge},
	{"/gc/heap/objects:objects", "runtime.heap_objects", Gauge},
	{"/gc/heap/goal:bytes", "runtime.heap_goal_bytes", Gauge},
	{"/gc/heap/allocs:bytes", "runtime.heap_alloc_bytes_total", Counter},
	{"/memory/classes/total:bytes", "runtime.sys_bytes", Gauge},
	{"/gc/cycles/total:gc-cycles", "runtime.gc_total", Counter},
	{"/sched/goroutines:goroutines", "runtime.goroutines", Gauge},
}

// Stats emits the samples.
func (r *Runtime) Stats(emit func(Sample)) {
	gauge := func(name string, v float64) { emit(Sample{Name: name, Kind: Gauge, Value: v}) }
	gauge("live", 1)
	gauge("runtime.start_time_sec", float64(r.start.Unix()))
	gauge("runtime.uptime_sec", float64(time.Since(r.start)/time.Second))
	gauge("runtime.gomaxprocs", float64(runtime.GOMAXPROCS(0)))
	emitGo(emit)
	if rss, ok := residentBytes(); ok {
		gauge("runtime.rss_bytes", float64(rss))
	}
	if n, ok := openFDs(); ok {
		gauge("runtime.open_fds", float64(n))
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		gauge("runtime.max_fds", float64(limit.Cur))
	}
	emitCPU(emit)
}

func emitGo(emit func(Sample)) {
	values := make([]metrics.Sample, len(goMetrics))
	for i, m := range goMetrics {
		values[i].Name = m.metric
	}
	metrics.Read(values)
	for i, m := range goMetrics {
		if values[i].Value.Kind() == metrics.KindUint64 {
			emit(Sample{Name: m.name, Kind: m.kind, Value: float64(values[i].Value.Uint64())})
		}
	}
}

func emitCPU(emit func(Sample)) {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) != nil {
		return
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Nano()) / 1e9 }
	emit(Sample{Name: "runtime.cpu_user_sec_total", Value: seconds(use.Utime)})
	emit(Sample{Name: "runtime.cpu_sys_sec_total", Value: seconds(use.Stime)})
}

func residentBytes() (uint64, bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	return parseStatm(b, uint64(os.Getpagesize()))
}

// parseStatm takes the second field of /proc/PID/statm (see proc(5)): the
// resident pages.
func parseStatm(b []byte, pageSize uint64) (uint64, bool) {
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 48)
	if err != nil {
		return 0, false
	}
	return pages * pageSize, true
}

// openFDs counts the open descriptors. Linux since 6.2 gives the number as the
// size of the directory; with ten thousand connections that saves reading
// ten thousand names at each scrape.
func openFDs() (int, bool) {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer d.Close()
	if info, err := d.Stat(); err == nil && info.Size() > 0 {
		return int(info.Size()) - 1, true // without d
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, false
	}
	return len(names) - 1, true
}
