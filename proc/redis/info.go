package redis

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// infoSection is a part of INFO. Text is in Redis' form: a title, then name:value lines.
type infoSection struct {
	name   string
	title  string
	extra  bool // only when it is asked for by name, or with all and everything
	append func(s *session, b []byte) []byte
}

// infoSections are in Redis' order. What the numbers are about is said at each: a
// session can only see what its own loop counts.
var infoSections = []infoSection{
	{name: "server", title: "Server", append: (*session).infoServer},
	{name: "clients", title: "Clients", append: (*session).infoClients},
	{name: "memory", title: "Memory", append: (*session).infoMemory},
	{name: "persistence", title: "Persistence", append: (*session).infoPersistence},
	{name: "stats", title: "Stats", append: (*session).infoStats},
	{name: "replication", title: "Replication", append: (*session).infoReplication},
	{name: "cpu", title: "CPU", append: (*session).infoCPU},
	{name: "commandstats", title: "Commandstats", extra: true, append: (*session).infoCommands},
	{name: "latencystats", title: "Latencystats", extra: true, append: (*session).infoLatency},
	{name: "cluster", title: "Cluster", append: (*session).infoCluster},
	{name: "keyspace", title: "Keyspace", append: func(_ *session, b []byte) []byte { return b }},
}

func (s *session) info(_ *command.Info, frame []byte, args []resp.Arg) {
	var text []byte
	for i := range infoSections {
		section := &infoSections[i]
		if !section.wanted(frame, args[1:]) {
			continue
		}
		if len(text) > 0 {
			text = append(text, "\r\n"...)
		}
		text = append(append(append(text, "# "...), section.title...), "\r\n"...)
		text = section.append(s, text)
	}
	s.answer(resp.AppendVerbatim(s.scratch(), "txt", string(text), s.resp3()))
}

// wanted reports whether one of the names in args asks for the section; no names ask
// for the default.
func (i *infoSection) wanted(frame []byte, args []resp.Arg) bool {
	if len(args) == 0 {
		return !i.extra
	}
	for k := range args {
		name := argument(frame, args, k)
		switch {
		case equalFold(name, i.name), equalFold(name, "all"), equalFold(name, "everything"):
			return true
		case equalFold(name, "default") && !i.extra:
			return true
		}
	}
	return false
}

func infoText(b []byte, name, value string) []byte {
	b = append(append(b, name...), ':')
	return append(append(b, value...), "\r\n"...)
}

func infoNumber[T int | int64 | uint64](b []byte, name string, v T) []byte {
	b = append(append(b, name...), ':')
	if v < 0 {
		b = strconv.AppendInt(b, int64(v), 10)
	} else {
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return append(b, "\r\n"...)
}

// infoServer is about the process; redis_version is that of the nodes.
func (s *session) infoServer(b []byte) []byte {
	p := s.w.proc
	up := int64(time.Since(p.started) / time.Second)
	local := localAddress(s.fd)
	b = infoText(b, "redis_version", s.serverVersion())
	b = infoText(b, "samaritan_version", p.version)
	b = infoText(b, "redis_mode", "standalone")
	b = infoText(b, "os", systemName)
	b = infoNumber(b, "arch_bits", strconv.IntSize)
	b = infoText(b, "multiplexing_api", "epoll")
	b = infoNumber(b, "process_id", os.Getpid())
	b = infoText(b, "run_id", fingerprint("samaritan run "+p.name+" "+p.started.String()))
	b = infoNumber(b, "tcp_port", local.port)
	b = infoNumber(b, "server_time_usec", time.Now().UnixMicro())
	b = infoNumber(b, "uptime_in_seconds", up)
	return infoNumber(b, "uptime_in_days", up/(24*60*60))
}

var systemName = uname()

// uname is what Redis puts together: the system, its release and the machine.
func uname() string {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return runtime.GOOS + " " + runtime.GOARCH
	}
	return utsField(u.Sysname) + " " + utsField(u.Release) + " " + utsField(u.Machine)
}

// utsField has signed characters on some architectures and unsigned ones on others.
func utsField[T int8 | uint8](field [65]T) string {
	var b strings.Builder
	for _, c := range field {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

// infoClients is about the service's listener, all loops together.
func (s *session) infoClients(b []byte) []byte {
	limit := s.w.proc.svc.Load().Config.GetListener().GetConnectionLimit()
	b = infoNumber(b, "connected_clients", s.w.proc.listener.Active())
	b = infoNumber(b, "maxclients", uint64(limit))
	b = infoNumber(b, "blocked_clients", 0)
	return infoNumber(b, "tracking_clients", 0)
}

// infoMemory is about the proxy's own process; the nodes' memory is not known here.
func (s *session) infoMemory(b []byte) []byte {
	rss := residentBytes()
	b = infoNumber(b, "used_memory", rss)
	b = infoText(b, "used_memory_human", humanBytes(rss))
	b = infoNumber(b, "used_memory_rss", rss)
	b = infoText(b, "used_memory_rss_human", humanBytes(rss))
	b = infoNumber(b, "maxmemory", 0)
	b = infoText(b, "maxmemory_human", "0B")
	return infoText(b, "maxmemory_policy", "noeviction")
}

// residentBytes reads the resident size of the process; 0 when it cannot be had. The
// runtime's own figures would stop all goroutines for a moment.
func residentBytes() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// humanBytes prints a size as Redis does: 12.24M.
func humanBytes(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + "B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 3 {
		v /= 1024
		unit++
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + "KMGT"[unit:unit+1]
}

func (s *session) infoPersistence(b []byte) []byte {
	b = infoNumber(b, "loading", 0)
	b = infoNumber(b, "async_loading", 0)
	b = infoNumber(b, "rdb_changes_since_last_save", 0)
	b = infoNumber(b, "rdb_bgsave_in_progress", 0)
	b = infoText(b, "rdb_last_bgsave_status", "ok")
	b = infoNumber(b, "aof_enabled", 0)
	return infoNumber(b, "aof_rewrite_in_progress", 0)
}

// infoStats is about what this loop has served of the service.
func (s *session) infoStats(b []byte) []byte {
	w := s.w
	d := &w.stats.downstream
	total, failed := w.stats.unknown, w.stats.unknown
	for _, c := range w.stats.commands {
		if c != nil {
			total += c.total
			failed += c.errors
		}
	}
	b = infoNumber(b, "total_connections_received", d.opened)
	b = infoNumber(b, "total_commands_processed", total)
	b = infoNumber(b, "total_net_input_bytes", d.bytes.Read)
	b = infoNumber(b, "total_net_output_bytes", d.bytes.Written)
	b = infoNumber(b, "rejected_connections", w.proc.listener.Restricted())
	return infoNumber(b, "total_error_replies", failed)
}

func (s *session) infoReplication(b []byte) []byte {
	b = infoText(b, "role", "master")
	b = infoNumber(b, "connected_slaves", 0)
	b = infoText(b, "master_failover_state", "no-failover")
	b = infoText(b, "master_replid", strings.Repeat("0", 40))
	return infoNumber(b, "master_repl_offset", 0)
}

// infoCPU is about the process.
func (s *session) infoCPU(b []byte) []byte {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return b
	}
	b = infoText(b, "used_cpu_sys", cpuSeconds(u.Stime))
	return infoText(b, "used_cpu_user", cpuSeconds(u.Utime))
}

func cpuSeconds(t syscall.Timeval) string {
	return strconv.FormatFloat(time.Duration(t.Nano()).Seconds(), 'f', 6, 64)
}

// infoCommands is about what this loop has served. The time is that until the reply
// was there.
func (s *session) infoCommands(b []byte) []byte {
	return s.eachUsed(b, func(b []byte, name string, c *commandStats) []byte {
		micros, each := c.latency.Sum(), 0.0
		if c.total > 0 {
			each = float64(micros) / float64(c.total)
		}
		b = append(append(append(b, "cmdstat_"...), name...), ":calls="...)
		b = strconv.AppendUint(b, c.total, 10)
		b = strconv.AppendUint(append(b, ",usec="...), micros, 10)
		b = strconv.AppendFloat(append(b, ",usec_per_call="...), each, 'f', 2, 64)
		b = strconv.AppendUint(append(b, ",rejected_calls=0,failed_calls="...), c.errors, 10)
		return append(b, "\r\n"...)
	})
}

func (s *session) infoLatency(b []byte) []byte {
	return s.eachUsed(b, func(b []byte, name string, c *commandStats) []byte {
		if c.latency.Count() == 0 {
			return b
		}
		b = append(append(append(b, "latency_percentiles_usec_"...), name...), ':')
		b = strconv.AppendFloat(append(b, "p50="...), c.latency.Quantile(0.5), 'f', 3, 64)
		b = strconv.AppendFloat(append(b, ",p99="...), c.latency.Quantile(0.99), 'f', 3, 64)
		b = strconv.AppendFloat(append(b, ",p99.9="...), c.latency.Quantile(0.999), 'f', 3, 64)
		return append(b, "\r\n"...)
	})
}

// eachUsed calls line for every command that was used.
func (s *session) eachUsed(b []byte, line func(b []byte, name string, c *commandStats) []byte) []byte {
	for id, c := range s.w.stats.commands {
		if c != nil && c.total > 0 {
			b = line(b, command.ByID(uint16(id)).Name, c)
		}
	}
	return b
}

func (s *session) infoCluster(b []byte) []byte { return infoNumber(b, "cluster_enabled", 0) }
