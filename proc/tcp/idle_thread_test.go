package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A loop without anything to do leaves its thread, and has one again for what comes: a
// client, bytes of one that is there, a timeout, the end.
func TestLoopWithNothingToDoHasNoThread(t *testing.T) {
	p := run(t, all(serve(t, echo)), idle(2*time.Second))
	rests := func() {
		t.Helper()
		eventually(t, func() bool { return p.loops.first().usage.thread.Load() == 0 }, "a rest")
	}
	rests()
	c := p.dial()
	for range 3 {
		exchange(t, c, "hello")
		rests()
	}
	isClosed(t, c) // by the idle timeout
	require.EqualValues(t, 1, p.stat("downstream.cx_idle_timeout"))
	rests()
}
