package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"samaritan/hotkey"
	"samaritan/proc/redis/filter"
)

// tracking is the HOTKEYS session of a service, of which there is one at a time. It
// belongs to the service, not to the client that began it, and lives through changes of
// the configuration.
type tracking struct {
	// current is the session that runs, nil when none does: what new workers count for.
	current atomic.Pointer[hotkeysSession]

	// mu is held by whoever begins, reads or ends a session, also while the loops are
	// asked: it must not be taken on a loop.
	mu   sync.Mutex
	last *hotkeysSession // the one that runs, or the last that ran; nil once it is forgotten
}

// hotkeysSession is one session from START on.
type hotkeysSession struct {
	spec    hotkeysSpec
	started time.Time
	ended   chan struct{}  // closed with its end
	result  *hotkeysResult // what it has found; nil while it runs
	before  *hotkeysResult // what it had found when it came from another process; nil: it did not
	limited bool           // somebody waits for the end of its duration
}

// hotkeysSpec is what START has asked for.
type hotkeysSpec struct {
	cpu, net bool
	count    int           // keys to list
	duration time.Duration // 0: until STOP
	sample   int64         // one request in so many is looked at
	slots    *hotkey.SlotSet
}

// hotkeysResult is what all workers together have found until a moment.
type hotkeysResult struct {
	*hotkey.Tracked
	took time.Duration
	cpu  cpuTime // of the loops, in that time
}

// cpuTime is processor time of a thread.
type cpuTime struct{ user, sys time.Duration }

func (t cpuTime) total() time.Duration { return t.user + t.sys }

func (t cpuTime) plus(o cpuTime) cpuTime { return cpuTime{t.user + o.user, t.sys + o.sys} }

func (t cpuTime) minus(o cpuTime) cpuTime { return cpuTime{t.user - o.user, t.sys - o.sys} }

// threadTime is what the calling thread has used. A loop is locked to its thread.
func threadTime() cpuTime {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return cpuTime{}
	}
	return cpuTime{user: time.Duration(u.Utime.Nano()), sys: time.Duration(u.Stime.Nano())}
}

// microseconds is the share of the measured processor time that falls to a cost.
//
// The model: a request costs one unit, and one more for each 4 KiB of request and reply
// (hotkey.Cost); all requests that nodes have answered during the session share the
// time that the loops have used meanwhile, in proportion to their costs. That time is
// measured, by getrusage for the thread of each loop. The loops are shared by all
// services of the process, and what they use while they wait, or for commands that the
// proxy answers itself, is in it too: so the figures are exact as shares, and an upper
// bound as times.
func (r *hotkeysResult) microseconds(cost uint64) int64 {
	if r.All.Cost == 0 {
		return 0
	}
	return int64(float64(r.cpu.total().Microseconds()) * (float64(cost) / float64(r.All.Cost)))
}

// startTracking begins a session. False means that one runs already.
func (p *Proc) startTracking(spec hotkeysSpec) bool {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Load() != nil {
		return false
	}
	p.runTrackingLocked(&hotkeysSession{spec: spec, started: time.Now(), ended: make(chan struct{})})
	return true
}

func (p *Proc) runTrackingLocked(h *hotkeysSession) {
	p.tracking.last = h
	p.tracking.current.Store(h)
	askWorkers(p, func(w *worker) struct{} { w.track(h); return struct{}{} })
	p.limitLocked(h)
}

// limitLocked has somebody wait for the end of a session that has one. Before Run it does
// nothing, see limitImported.
func (p *Proc) limitLocked(h *hotkeysSession) {
	if h.spec.duration > 0 && !h.limited && p.bound.Load() {
		h.limited = true
		p.laters.Go(func() { p.limitTracking(h) })
	}
}

// limitTracking ends a session when its time is over.
func (p *Proc) limitTracking(h *hotkeysSession) {
	limit := time.NewTimer(time.Until(h.started.Add(h.spec.duration)))
	defer limit.Stop()
	select {
	case <-limit.C:
		p.stopTracking(h)
	case <-h.ended:
	case <-p.ctx.Done():
	}
}

// stopTracking ends a session and keeps what it has found; nil means the one that runs.
// False means that it does not run.
func (p *Proc) stopTracking(h *hotkeysSession) bool {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	running := t.current.Load()
	if running == nil || h != nil && h != running {
		return false
	}
	t.current.Store(nil) // first: a worker that is made from now on does not begin to count
	running.result = running.sum(askWorkers(p, (*worker).untrack))
	close(running.ended)
	return true
}

// forgetTracking drops what the last session has found. False means that it runs.
func (p *Proc) forgetTracking() bool {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Load() != nil {
		return false
	}
	t.last = nil
	return true
}

// tracked returns the last session and what it has found so far; nil when there is none.
func (p *Proc) tracked() (h *hotkeysSession, found *hotkeysResult, running bool) {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	h = t.last
	if h == nil || h.result != nil {
		return h, h.finding(), false
	}
	return h, h.sum(askWorkers(p, (*worker).tracked)), true
}

// finding is the result of a session that has ended.
func (h *hotkeysSession) finding() *hotkeysResult {
	if h == nil {
		return nil
	}
	return h.result
}

// sum merges what the workers have found.
func (h *hotkeysSession) sum(found []trackedShare) *hotkeysResult {
	if h.before == nil {
		return h.sumOf(found, h.spec.count)
	}
	return h.sumOf(found, hotkey.MaxTracked).after(h.before, h.spec.count)
}

// after adds what was found before, and keeps k keys of each measure.
func (r *hotkeysResult) after(before *hotkeysResult, k int) *hotkeysResult {
	return &hotkeysResult{Tracked: r.Plus(before.Tracked, k), took: r.took, cpu: r.cpu.plus(before.cpu)}
}

// sumOf is what was found in this process, with k keys of each measure.
func (h *hotkeysSession) sumOf(found []trackedShare, k int) *hotkeysResult {
	r := &hotkeysResult{took: time.Since(h.started)}
	trackers := make([]*hotkey.Tracker, 0, len(found))
	for _, f := range found {
		if f.tracker != nil {
			trackers = append(trackers, f.tracker)
			r.cpu = r.cpu.plus(f.cpu)
		}
	}
	r.Tracked = hotkey.MergeTrackers(trackers, k)
	return r
}

// trackedShare is what one worker has found; the tracker is nil when it does not count.
type trackedShare struct {
	tracker *hotkey.Tracker
	cpu     cpuTime
}

// track begins to count for a session, nil for none. It does nothing when it does so
// already.
func (w *worker) track(h *hotkeysSession) {
	if h == nil || w.tracker != nil && w.tracker.session == h {
		return
	}
	found := hotkey.NewTracker(hotkey.TrackerOptions{
		ByCost: h.spec.cpu, ByBytes: h.spec.net, Sample: uint64(h.spec.sample), Slots: h.spec.slots,
	})
	w.tracker = &keyTracker{session: h, since: threadTime(), found: found, filter: filter.NewTracker(found)}
	w.chainUp()
}

// untrack ends that and returns what was found.
func (w *worker) untrack() trackedShare {
	k := w.tracker
	if k == nil {
		return trackedShare{}
	}
	w.tracker = nil
	w.chainUp()
	return trackedShare{tracker: k.found, cpu: threadTime().minus(k.since)}
}

// tracked returns a copy of what was found so far.
func (w *worker) tracked() trackedShare {
	k := w.tracker
	if k == nil {
		return trackedShare{}
	}
	return trackedShare{tracker: k.found.Clone(), cpu: threadTime().minus(k.since)}
}

// keyTracker is what one worker counts for a session.
type keyTracker struct {
	session *hotkeysSession
	found   *hotkey.Tracker
	filter  *filter.Tracker
	since   cpuTime // of the loop when it began
}
