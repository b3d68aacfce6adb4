package eventloop

import (
	"container/heap"
	"time"
)

// Timer is a function that a loop runs once, at or shortly after its time.
type Timer struct {
	at    int64
	index int // in the heap, -1 when not armed
	fn    func()
	loop  *Loop
}

// After runs fn on the loop once d has passed. The resolution is a millisecond;
// timers are for sweeps and backoff, not for one per request.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	t := &Timer{fn: fn, loop: l, index: -1}
	t.Reset(d)
	return t
}

// Reset arms the timer anew, d from now. With d of 0 or less it runs in the next
// iteration, so that a timer that arms itself cannot starve the loop.
func (t *Timer) Reset(d time.Duration) {
	t.Stop()
	t.at = t.loop.now + int64(max(d, 1))
	heap.Push(&t.loop.timers, t)
}

// Stop disarms the timer. It may be called at any time, also from its function.
func (t *Timer) Stop() {
	if t.index >= 0 {
		heap.Remove(&t.loop.timers, t.index)
	}
}

func (l *Loop) runTimers() {
	for len(l.timers) > 0 && l.timers[0].at <= l.now {
		heap.Pop(&l.timers).(*Timer).fn()
	}
}

// maxPoll bounds one wait, in milliseconds: epoll takes 32 bits.
const maxPoll = 1 << 30

// pollTimeout is how long epoll may block, in milliseconds; -1 means no limit.
func (l *Loop) pollTimeout() int {
	if len(l.timers) == 0 {
		return -1
	}
	d := l.timers[0].at - l.now
	if d <= 0 {
		return 0
	}
	return int(min((d-1)/int64(time.Millisecond)+1, maxPoll))
}

type timerHeap []*Timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
