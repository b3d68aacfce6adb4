package eventloop

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// take reads what is there, up to limit, and counts it.
func (p *peer) take(limit int) int {
	p.Helper()
	n := 0
	for n < limit {
		b, _, err := p.recv(min(limit-n, 256<<10))
		require.NoError(p, err)
		if len(b) == 0 {
			break
		}
		n += len(b)
	}
	return n
}

// output queues n bytes without copying them.
func (r *rig) output(c *Conn, n int) {
	b := r.l.NewBuf(n)
	b.B = b.B[:n]
	c.AppendRef(Ref{Buf: b, Len: n})
	b.Release()
}

// echo answers every piece of input at once.
func (r *rig) echo() *peer {
	h := &fake{}
	c, p := r.tcp(h)
	h.data = func(b []byte) int { c.Append(b); return len(b) }
	return p
}

// A small request that has arrived is answered within one iteration, and that iteration
// moves no more than one turn of the huge reply.
func TestHugeOutputDoesNotKeepOthersWaiting(t *testing.T) {
	r := newRig(t)
	small := r.echo()
	c, p := r.tcp(&fake{})
	const size = 32 << 20
	r.output(c, size)
	got, turnsTaken := 0, 0
	for c.Pending() > 0 {
		got += p.take(1 << 20)
		small.send("ping")
		before := c.bytes.Written
		r.step()
		require.Equal(t, "ping", small.text())
		require.LessOrEqual(t, c.bytes.Written-before, uint64(turnBytes))
		turnsTaken++
	}
	require.GreaterOrEqual(t, turnsTaken, size/turnBytes)
	got += p.take(size)
	require.Equal(t, size, got)
}

func TestHugeInputDoesNotKeepOthersWaiting(t *testing.T) {
	r := newRig(t)
	small := r.echo()
	h := &fake{}
	var c *Conn
	const size = 16 << 20
	h.data = func(b []byte) int {
		if len(b) < size {
			c.Expect(size - len(b))
			return 0
		}
		return size
	}
	c, p := r.tcp(h)
	p.send(string(make([]byte, 1000)))
	r.step() // it is known from here on that the frame is large
	left := size - 1000
	for left > 0 || c.in != nil {
		b := make([]byte, min(left, 512<<10))
		if n, err := syscall.Write(p.fd, b); err == nil {
			left -= n
		}
		small.send("ping")
		before := c.bytes.Read
		r.step()
		require.Equal(t, "ping", small.text())
		require.LessOrEqual(t, c.bytes.Read-before, uint64(turnBytes))
	}
	require.EqualValues(t, size, c.bytes.Read)
}

// However many transfers there are, an iteration has its bound, and each gets on.
func TestTransfersTakeTurns(t *testing.T) {
	r := newRig(t)
	const count, size = 13, 4 << 20
	var conns []*Conn
	var peers []*peer
	for range count {
		c, p := r.tcp(&fake{})
		r.output(c, size)
		conns, peers = append(conns, c), append(peers, p)
	}
	sum := func() (all uint64) {
		for _, c := range conns {
			all += c.bytes.Written
		}
		return all
	}
	for steps := 0; sum() < count*size; steps++ {
		for _, p := range peers {
			p.take(1 << 20)
		}
		before := sum()
		r.step()
		require.LessOrEqual(t, sum()-before, uint64(turnsBytes))
		require.Less(t, steps, 100_000)
		low, high := conns[0].bytes.Written, conns[0].bytes.Written
		for _, c := range conns {
			low, high = min(low, c.bytes.Written), max(high, c.bytes.Written)
		}
		if steps < size/turnBytes { // the first may be done later on
			require.LessOrEqual(t, high-low, uint64(2*turnBytes)+size/2, "one is left behind")
		}
	}
	require.Zero(t, r.l.writers.len())
}

func TestClosedAndPausedLoseTheirTurn(t *testing.T) {
	r := newRig(t)
	h := &fake{data: func([]byte) int { return 0 }}
	c, p := r.tcp(h)
	h.data = func([]byte) int { c.Expect(8 << 20); return 0 }
	p.send("begins")
	r.step()
	datas := h.datas
	c.awaitRead()
	c.Pause()
	p.send("goes on")
	r.step()
	require.Equal(t, datas, h.datas)
	require.Zero(t, r.l.readers.len())

	c.Resume()
	r.output(c, 8<<20)
	c.awaitRead()
	c.awaitRead()
	c.awaitWrite()
	c.awaitWrite()
	require.Equal(t, 1, r.l.readers.len(), "in line once")
	require.Equal(t, 1, r.l.writers.len())
	c.Close(nil)
	datas = h.datas
	r.step()
	require.Equal(t, datas, h.datas)
	require.Zero(t, c.bytes.Written)
	require.False(t, r.l.unfinished() && r.l.pool.pages.bytes <= keepMappedBytes)
}

// No event tells that a socket may take more when it has taken all it was given: the
// loop must go on by itself.
func TestLoopDoesNotBlockWithTurnsLeft(t *testing.T) {
	l, _ := run(t)
	ours, theirs := tcpPair(t)
	const size = 8 << 20
	want := random(rand.New(rand.NewPCG(8, 0)), size)
	on(t, l, func() {
		c, err := l.Add(ours, &fake{})
		if err != nil {
			t.Error(err)
			return
		}
		c.Append(want)
		c.CloseFlushed()
	})
	file := os.NewFile(uintptr(theirs), "peer")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.True(t, string(want) == string(got))
}

// What the sockets still take is written when the loop ends.
func TestShutdownOffersAllOutput(t *testing.T) {
	r := newRig(t)
	c, p := r.tcp(&fake{})
	const size = 2 * largeOutput
	r.output(c, size)
	r.l.shutdown()
	require.Greater(t, c.bytes.Written, uint64(turnBytes))
	require.EqualValues(t, c.bytes.Written, p.take(size))
}

func TestTurnsAreFirstComeFirstServed(t *testing.T) {
	var q turns
	var conns [300]Conn
	next := 0
	for i := range conns {
		q.push(&conns[i])
		if i%3 == 2 {
			require.Same(t, &conns[next], q.pop())
			next++
		}
		require.Equal(t, i+1-next, q.len())
	}
	for ; q.len() > 0; next++ {
		require.Same(t, &conns[next], q.pop())
	}
	require.Equal(t, len(conns), next)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		q.push(&conns[0])
		q.pop()
	}))
}
