package eventloop

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// raiseFiles allows as many descriptors as asked for, or as many as the system
// grants, and says how many.
func raiseFiles(t *testing.T, want uint64) uint64 {
	t.Helper()
	var had syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had))
	if had.Cur >= want {
		return had.Cur
	}
	for _, lim := range []syscall.Rlimit{{Cur: want, Max: max(want, had.Max)}, {Cur: had.Max, Max: had.Max}} {
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim) == nil {
			return lim.Cur
		}
	}
	return had.Cur
}

func TestTenThousandConnections(t *testing.T) {
	const want, spare = 10_000, 200
	conns := want
	if limit := raiseFiles(t, 2*want+spare); limit < 2*want+spare {
		conns = int(limit-spare) / 2
		t.Logf("%d descriptors allowed: testing %d connections", limit, conns)
	}
	before := openFDs(t)
	l, stop := run(t)
	type pair struct{ ours, theirs int }
	pairs := make([]pair, conns)
	for i := range pairs {
		pairs[i].ours, pairs[i].theirs = socketpair(t)
	}
	closed := 0
	on(t, l, func() {
		for _, p := range pairs {
			require.NoError(t, l.addEcho(p.ours, func(error) { closed++ }))
		}
	})
	require.Equal(t, conns, l.Conns())
	for round := range 2 {
		for i, p := range pairs {
			_, err := syscall.Write(p.theirs, []byte{byte(i), byte(i >> 8), byte(round)})
			require.NoError(t, err)
		}
		for i, p := range pairs {
			require.Equal(t, []byte{byte(i), byte(i >> 8), byte(round)}, awaitRead(t, p.theirs, 3))
		}
	}
	var held int
	on(t, l, func() {
		for i := range l.slots {
			if c := l.slots[i].conn; c.in != nil || c.out.pending > 0 {
				held++
			}
		}
	})
	require.Zero(t, held, "idle connections hold no buffers")
	for _, p := range pairs[:conns/2] {
		require.NoError(t, syscall.Close(p.theirs))
	}
	for end := time.Now().Add(patience); l.Conns() > conns-conns/2; runtime.Gosched() {
		require.False(t, time.Now().After(end))
	}
	stop()
	require.Equal(t, conns, closed)
	for _, p := range pairs[conns/2:] {
		require.NoError(t, syscall.Close(p.theirs))
	}
	require.Equal(t, before, openFDs(t), "descriptors leak")
}

// awaitRead reads exactly n bytes from a non-blocking socket.
func awaitRead(t testing.TB, fd, n int) []byte {
	b := make([]byte, n)
	readFull(t, fd, b)
	return b
}

func readFull(t testing.TB, fd int, b []byte) {
	var end time.Time
	for len(b) > 0 {
		n, err := syscall.Read(fd, b)
		if err == syscall.EAGAIN {
			if end.IsZero() {
				end = time.Now().Add(patience)
			} else if time.Now().After(end) {
				t.Fatal("no reply")
			}
			runtime.Gosched()
			continue
		}
		if n <= 0 || err != nil {
			t.Fatalf("read: %d, %v", n, err)
		}
		b = b[n:]
	}
}

// Echo round trips, with input left over, shared input and timers, allocate
// nothing, and the pool does not grow.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	var c *Conn
	b, ours := make([]byte, 64), []byte("0123456789")
	h.data = func(in []byte) int {
		if len(in) < 20 {
			return 0
		}
		ref := c.Share(in)
		c.AppendRef(ref)
		ref.Buf.Release()
		c.Append(ours)
		return len(in)
	}
	c, p := r.conn(h)
	timer := r.l.After(0, func() {})
	nothing := func() {}
	cycle := func() {
		for range 2 { // the first half is left over
			_, _ = syscall.Write(p.fd, ours)
			timer.Reset(0)
			r.l.Post(nothing)
			_ = r.l.iterate()
		}
		if n, err := syscall.Read(p.fd, b); n != 30 || err != nil {
			t.Fatal(n, err)
		}
	}
	for range 100 {
		cycle()
	}
	held := r.l.pool.count
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10_000 {
		cycle()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(20))
	require.Equal(t, held, r.l.pool.count)
}

// The same for a loop that runs on its own.
func TestRunningLoopAllocatesNothing(t *testing.T) {
	l, _ := run(t)
	ours, theirs := socketpair(t)
	defer func() { _ = syscall.Close(theirs) }()
	on(t, l, func() { require.NoError(t, l.addEcho(ours, nil)) })
	req, resp := []byte("PING\r\n"), make([]byte, 6)
	trips := func(n int) {
		for range n {
			_, _ = syscall.Write(theirs, req)
			readFull(t, theirs, resp)
		}
	}
	trips(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	trips(10_000)
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(20))
}

func BenchmarkEcho(b *testing.B) {
	for _, bc := range []struct {
		name  string
		conns int
	}{{"1 connection", 1}, {"50 connections", 50}} {
		b.Run(bc.name, func(b *testing.B) {
			l, stop := run(b)
			peers := make([]int, bc.conns)
			for i := range peers {
				var ours int
				ours, peers[i] = tcpPair(b)
				require.NoError(b, syscall.SetNonblock(peers[i], false)) // waiting must not take the loop's core
				on(b, l, func() { require.NoError(b, l.addEcho(ours, nil)) })
			}
			req, resp := []byte("PING\r\n"), make([]byte, 6)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%bc.conns == 0 { // a batch of requests, one on each connection
					for _, fd := range peers {
						_, _ = syscall.Write(fd, req)
					}
				}
				readFull(b, peers[n%bc.conns], resp)
			}
			stop()
			for _, fd := range peers {
				_ = syscall.Close(fd)
			}
		})
	}
}
