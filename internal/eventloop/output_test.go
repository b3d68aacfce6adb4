package eventloop

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// drainTo reads from the peer in uneven pieces until n bytes have come.
func (r *rig) drainTo(p *peer, rng *rand.Rand, n int) []byte {
	r.Helper()
	var got []byte
	r.until("all output arrives", func() bool {
		b, _, err := p.recv(1 + rng.IntN(3000))
		require.NoError(r, err)
		got = append(got, b...)
		return len(got) >= n
	})
	return got
}

func TestSlowReaderGetsEveryByteInOrder(t *testing.T) {
	for _, tc := range []struct {
		name          string
		chunks, size  int
		refs, strings bool
	}{
		{"one large chunk", 1, 1 << 20, false, false},
		{"many small copies", 5000, 100, false, true},
		{"many references", 1000, 700, true, false},
		{"mixture", 1500, 900, true, true},
		{"large mixture", 40, 60_000, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			rng := rand.New(rand.NewPCG(1, 0))
			h := &fake{}
			c, p := r.conn(h)
			require.NoError(t, syscall.SetsockoptInt(c.FD(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
			var want []byte
			var shared []*Buf
			for i := range tc.chunks {
				chunk := random(rng, 1+rng.IntN(tc.size))
				want = append(want, chunk...)
				switch kind := rng.IntN(3); {
				case tc.refs && kind == 0:
					b := r.l.NewBuf(len(chunk) + 10)
					b.B = append(append(b.B, "skipped---"...), chunk...)
					half := len(chunk) / 2
					c.AppendRef(Ref{Buf: b, Off: 10, Len: half})
					c.AppendRef(Ref{Buf: b, Off: 10 + half, Len: len(chunk) - half})
					shared = append(shared, b)
				case tc.strings && kind == 1:
					c.AppendString(string(chunk))
				default:
					c.Append(chunk)
				}
				if i%50 == 0 {
					r.step() // what is queued after a short write stays in order too
				}
			}
			require.Equal(t, uint64(len(want)), uint64(c.Pending())+c.bytes.Written)
			got := r.drainTo(p, rng, len(want))
			require.True(t, bytes.Equal(want, got), "content differs")
			r.step()
			require.Zero(t, c.Pending())
			require.Zero(t, c.interest&syscall.EPOLLOUT, "nothing to wait for any more")
			for _, b := range shared {
				require.True(t, b.Sole(), "output still refers to a buffer")
				b.Release()
			}
			require.Empty(t, h.closes)
		})
	}
}

func TestMoreSegmentsThanOneWritevTakes(t *testing.T) {
	r := newRig(t)
	c, p := r.tcp(&fake{})
	var want strings.Builder
	for i := range 5*maxIov + 3 {
		b := r.l.NewBuf(1)
		b.B = append(b.B, byte('a'+i%26))
		want.WriteByte(b.B[0])
		c.AppendRef(Ref{Buf: b, Len: 1})
		b.Release()
	}
	r.step()
	require.Zero(t, c.Pending(), "one flush writes all that the socket takes")
	require.Equal(t, want.String(), p.text())
}

func TestOneIterationIsOneWrite(t *testing.T) {
	r := newRig(t)
	c, p := r.conn(&fake{})
	for range 10 {
		c.AppendString("+OK\r\n")
	}
	require.Len(t, c.out.segs, 1, "small replies share a buffer")
	r.step()
	require.Equal(t, strings.Repeat("+OK\r\n", 10), p.text())
	require.Equal(t, 50, c.outHint)
	require.EqualValues(t, 50, c.bytes.Written)
}

func TestNeighbouringReferencesBecomeOneSegment(t *testing.T) {
	r := newRig(t)
	c, p := r.conn(&fake{})
	b := r.l.NewBuf(10)
	b.B = append(b.B, "0123456789"...)
	c.AppendRef(Ref{Buf: b, Off: 0, Len: 4})
	c.AppendRef(Ref{Buf: b, Off: 4, Len: 3})
	c.AppendRef(Ref{Buf: b, Off: 7, Len: 0})
	require.Len(t, c.out.segs, 1)
	c.AppendRef(Ref{Buf: b, Off: 8, Len: 2})
	require.Len(t, c.out.segs, 2)
	c.Append(nil)
	c.AppendString("")
	require.Equal(t, 9, c.Pending())
	r.step()
	require.Equal(t, "012345689", p.text())
	require.True(t, b.Sole())
	b.Release()
}

func TestCloseReleasesQueuedReferences(t *testing.T) {
	r := newRig(t)
	c, _ := r.conn(&fake{})
	b := r.l.NewBuf(10)
	b.B = append(b.B, "0123456789"...)
	c.AppendString("head")
	c.AppendRef(Ref{Buf: b, Len: 10})
	c.Close(nil)
	require.True(t, b.Sole())
	b.Release()
}

func TestNotifyBelow(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	require.NoError(t, syscall.SetsockoptInt(c.FD(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
	c.Append(make([]byte, 100_000))
	c.NotifyBelow(20_000)
	r.step()
	require.Greater(t, c.Pending(), 20_000)
	require.Zero(t, h.flushes)
	for h.flushes == 0 {
		before := c.Pending()
		_, _, err := p.recv(1000)
		require.NoError(t, err)
		r.step()
		require.Equal(t, c.Pending() <= 20_000, h.flushes == 1, "pending %d, before %d", c.Pending(), before)
	}
	r.until("rest is written", func() bool { p.text(); return c.Pending() == 0 })
	require.Equal(t, 1, h.flushes, "once per NotifyBelow")
	c.NotifyBelow(0)
	r.step()
	require.Equal(t, 2, h.flushes, "already below")
}

// Flushed may queue more, which leaves in the same iteration.
func TestFlushedMayGoOnWriting(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	other, q := r.conn(&fake{})
	h.flushed = func() {
		other.AppendString("to the other")
		if h.flushes < 3 {
			c.AppendString("again ")
			c.NotifyBelow(0)
		}
	}
	c.AppendString("first ")
	c.NotifyBelow(0)
	r.step()
	require.Equal(t, "first again again ", p.text())
	require.Equal(t, strings.Repeat("to the other", 3), q.text())
}

func TestWriteErrorCloses(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	c.Pause()
	r.step()
	p.close()
	c.AppendString("nobody reads this")
	c.flush()
	require.Equal(t, []error{syscall.EPIPE}, h.closes)
	require.True(t, c.IsClosed())
}

// A connection that fails while its interest is changed is gone: no Flushed then.
func TestNoFlushedAfterClosed(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, _ := r.conn(h)
	h.closed = func(error) { h.flushed = func() { t.Error("Flushed after Closed") } }
	require.Zero(t, epollCtl(r.l.epfd, syscall.EPOLL_CTL_DEL, c.fd, nil)) // MOD fails now
	c.Pause()
	c.NotifyBelow(0)
	r.step()
	require.Equal(t, []error{syscall.ENOENT}, h.closes)
}

func TestQueueReusesTheSpaceOfWrittenSegments(t *testing.T) {
	var q queue
	var pool bufPool
	seg := func() segment {
		b := pool.get(1)
		b.B = append(b.B, 'x')
		return segment{buf: b, end: 1}
	}
	for range 10 {
		q.push(seg())
	}
	for range 10_000 {
		q.push(seg())
		q.advance(1)
	}
	require.Equal(t, 10, q.pending)
	require.LessOrEqual(t, cap(q.segs), 32)
	q.clear()
	require.Zero(t, q.pending)
}
