package eventloop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	// busyShare is the share of a core above which a loop counts as busy.
	busyShare = 0.75
	// samplePeriod is the shortest time over which busy shares are measured.
	samplePeriod = 100 * time.Millisecond
)

// Group is a set of loops that grows with the load: it starts with one, because a
// single loop makes the largest batches, and brings in the next when every running
// one is busy. Methods may be called from any goroutine.
type Group struct {
	max int

	mu      sync.Mutex // guards the following
	loops   []*Loop
	ctx     context.Context // of Run, nil before and after
	wg      sync.WaitGroup
	errs    []error
	sampled time.Time
	cpu     []time.Duration // per loop, at the time sampled
	busy    []float64       // per loop, over the last period
}

// NewGroup makes a group with one loop that may grow to max loops (at least 1).
func NewGroup(limit int) (*Group, error) {
	l, err := New()
	if err != nil {
		return nil, err
	}
	return &Group{max: max(limit, 1), loops: []*Loop{l}, cpu: make([]time.Duration, 1), busy: make([]float64, 1)}, nil
}

// Run runs the loops and returns when ctx has ended and all have returned.
func (g *Group) Run(ctx context.Context) error {
	g.mu.Lock()
	g.ctx = ctx
	for _, l := range g.loops {
		g.start(l)
	}
	g.mu.Unlock()
	<-ctx.Done()
	g.mu.Lock()
	g.ctx = nil // from here on Pick starts no loop: Wait would not see it
	g.mu.Unlock()
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}

func (g *Group) start(l *Loop) {
	ctx := g.ctx
	g.wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			g.mu.Lock()
			g.errs = append(g.errs, fmt.Errorf("event loop: %w", err))
			g.mu.Unlock()
		}
	})
}

// Loops returns the loops in use.
func (g *Group) Loops() []*Loop {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Loop(nil), g.loops...)
}

// Pick returns the loop that a new connection should go to: the least busy one, and
// of equally busy ones that with the fewest connections.
func (g *Group) Pick() *Loop {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.max == 1 {
		return g.loops[0]
	}
	g.sample()
	best := 0
	for i := range g.loops {
		if g.less(i, best) {
			best = i
		}
	}
	if g.busy[best] > busyShare && len(g.loops) < g.max && g.ctx != nil && g.ctx.Err() == nil {
		if l, err := New(); err == nil { // else: out of descriptors, stay with what runs
			g.loops, g.cpu, g.busy = append(g.loops, l), append(g.cpu, 0), append(g.busy, 0)
			g.start(l)
			return l
		}
	}
	return g.loops[best]
}

// less orders loops by load, in steps of a tenth of a core.
func (g *Group) less(i, j int) bool {
	a, b := int(g.busy[i]*10), int(g.busy[j]*10)
	if a != b {
		return a < b
	}
	return g.loops[i].Conns() < g.loops[j].Conns()
}

// sample measures how busy the loops have been from their threads' CPU time.
func (g *Group) sample() {
	now := time.Now()
	wall := now.Sub(g.sampled)
	if wall < samplePeriod {
		return
	}
	g.sampled = now
	for i, l := range g.loops {
		cpu := l.cpuTime()
		g.busy[i] = float64(cpu-g.cpu[i]) / float64(wall)
		g.cpu[i] = cpu
	}
}

// cpuTime is the CPU time that the loop has used so far, 0 before it runs. Its thread
// is one of the runtime's and may have worked for others before.
func (l *Loop) cpuTime() time.Duration {
	tid := l.tid.Load()
	if tid == 0 {
		return 0
	}
	return threadCPU(tid) - l.cpuStart
}

// threadCPU is the CPU time of a thread of this process, 0 when there is none such.
func threadCPU(tid int64) time.Duration {
	// The clock id of a thread's CPU time, as clock_getcpuclockid(3) composes it.
	const perThread, sched = 4, 2
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(^tid<<3|perThread|sched), uintptr(unsafe.Pointer(&ts)), 0)
	if e != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}
