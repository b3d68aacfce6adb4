package trial

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// timed returns how much processor time f takes on this thread, in nanoseconds: what others do on
// the machine meanwhile does not count, apart from what it does to the caches.
func timed(f func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	f()
	return threadTime() - before
}

func threadTime() float64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		panic("a thread has no clock") // Linux always has it
	}
	return float64(t.Nano())
}
