package eventloop

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// framer takes frames of four bytes length and a body.
type framer struct {
	fake
	conn   *Conn
	expect bool // tell the connection what is missing
	frames []string
}

func frame(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

func (f *framer) Data(b []byte) int {
	used := 0
	for {
		rest := b[used:]
		need := 4 - len(rest)
		if need <= 0 {
			need = 4 + int(binary.BigEndian.Uint32(rest)) - len(rest)
		}
		if need > 0 {
			if f.expect {
				f.conn.Expect(need)
			}
			return used
		}
		n := int(binary.BigEndian.Uint32(rest))
		f.frames = append(f.frames, string(rest[4:4+n]))
		used += 4 + n
	}
}

func TestFramesSurviveEverySplit(t *testing.T) {
	want := []string{"one", "", "three and more", "4"}
	var stream string
	for _, s := range want {
		stream += frame(s)
	}
	for at := range len(stream) + 1 {
		r := newRig(t)
		f := &framer{expect: at%2 == 0}
		c, p := r.conn(f)
		f.conn = c
		p.send(stream[:at])
		r.step()
		p.send(stream[at:])
		r.step()
		require.Equal(t, want, f.frames, "split at %d", at)
		require.Zero(t, c.Buffered())
		require.Nil(t, c.in, "an idle connection holds no buffer")
	}
}

// feed sends s in pieces, as the loop takes them.
func (r *rig) feed(p *peer, s string, piece func() int) {
	r.Helper()
	for len(s) > 0 {
		n, err := syscall.Write(p.fd, []byte(s[:min(piece(), len(s))]))
		if err == syscall.EAGAIN {
			n, err = 0, nil
		}
		require.NoError(r, err)
		s = s[n:]
		r.step()
	}
}

func TestLargeFrames(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	var want []string
	var stream strings.Builder
	for _, n := range []int{10, scratchSize - 4, scratchSize, scratchSize + 1, 3, 1<<20 - 4, 1 << 20, 3<<20 + 7, 0, 65536, 1} {
		want = append(want, string(random(rng, n)))
		stream.WriteString(frame(want[len(want)-1]))
	}
	for _, tc := range []struct {
		name   string
		expect bool
		piece  func() int
	}{
		{"expected, as fast as it goes", true, func() int { return 1 << 20 }},
		{"not expected, as fast as it goes", false, func() int { return 1 << 20 }},
		{"expected, in uneven pieces", true, func() int { return 1 + rng.IntN(200_000) }},
		{"not expected, in uneven pieces", false, func() int { return 1 + rng.IntN(200_000) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			f := &framer{expect: tc.expect}
			c, p := r.tcp(f)
			f.conn = c
			r.feed(p, stream.String(), tc.piece)
			r.until("all frames", func() bool { return len(f.frames) >= len(want) || f.eofs > 0 })
			require.Zero(t, f.eofs, "a full buffer was taken for the peer's end")
			for i := range want {
				require.True(t, want[i] == f.frames[i], "frame %d differs", i)
			}
			require.Nil(t, c.in)
		})
	}
}

// A leftover that fills its buffer exactly must still leave room to read into.
func TestFullBufferIsNotTakenForEOF(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.tcp(h)
	want := 4 * scratchSize
	h.data = func(b []byte) int {
		if len(b) < want {
			return 0
		}
		return len(b)
	}
	r.feed(p, strings.Repeat("x", want), func() int { return scratchSize })
	r.until("all is taken", func() bool { return h.eofs > 0 || c.Buffered() == 0 && h.datas > 0 })
	require.Zero(t, h.eofs)
	require.False(t, c.IsClosed())
}

// A frame that tells its size in small steps is not copied for every step.
func TestInputGrowsInFewSteps(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.tcp(h)
	const want = 6 << 20
	var bufs int
	var last *Buf
	h.data = func(b []byte) int {
		if c.in != last {
			bufs, last = bufs+1, c.in
		}
		if len(b) >= want {
			return len(b)
		}
		c.Expect(1)
		return 0
	}
	r.feed(p, strings.Repeat("x", want), func() int { return scratchSize })
	r.until("all is taken", func() bool { return c.Buffered() == 0 })
	require.Less(t, bufs, 20, "buffers used")
	require.Less(t, h.datas, 1000, "reads")
}

// What is announced is not reserved before it comes.
func TestExpectReservesAtMostTwiceWhatArrived(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.tcp(h)
	h.data = func([]byte) int { c.Expect(1 << 40); return 0 }
	r.feed(p, strings.Repeat("x", 600<<10), func() int { return 100 << 10 })
	r.until("all arrives", func() bool { return c.Buffered() == 600<<10 })
	require.LessOrEqual(t, cap(c.in.B), 2*1024<<10)
	h.data = nil
	p.send("!")
	r.until("all is taken", func() bool { return c.Buffered() == 0 })
	require.Zero(t, c.need, "it is for the next Data only")
}

func TestLeftoverComesAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		take func(b []byte) int
		want []string // what Data is called with for "ab", "cd", "ef"
		left int
	}{
		{"nothing consumed", func([]byte) int { return 0 }, []string{"ab", "abcd", "abcdef"}, 6},
		{"one byte consumed", func([]byte) int { return 1 }, []string{"ab", "bcd", "cdef"}, 3},
		{"all but one consumed", func(b []byte) int { return len(b) - 1 }, []string{"ab", "bcd", "def"}, 1},
		{"all consumed", func(b []byte) int { return len(b) }, []string{"ab", "cd", "ef"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			h := &fake{}
			var calls []string
			h.data = func(b []byte) int { calls = append(calls, string(b)); return tc.take(b) }
			c, p := r.conn(h)
			for _, s := range []string{"ab", "cd", "ef"} {
				p.send(s)
				r.step()
			}
			require.Equal(t, tc.want, calls)
			require.Equal(t, tc.left, c.Buffered())
			require.Equal(t, tc.left == 0, c.in == nil)
			require.EqualValues(t, 6, c.bytes.Read)
		})
	}
}

// A large frame's buffer is not kept for a few bytes behind it.
func TestSmallLeftoverLeavesTheLargeBuffer(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	const large = 2 << 20
	h.data = func(b []byte) int {
		if len(b) < large+3 {
			return 0
		}
		return large
	}
	c, p := r.tcp(h)
	r.feed(p, strings.Repeat("x", large)+"end", func() int { return 1 << 20 })
	r.until("frame is taken", func() bool { return c.Buffered() == 3 })
	require.LessOrEqual(t, cap(c.in.B), 1024)
	h.data = nil
	p.send("!")
	r.step()
	require.Equal(t, "end!", string(h.got))
}

// Shared input stays as it was while the loop reads on, from whichever buffer.
func TestSharedInputStaysValid(t *testing.T) {
	r := newRig(t)
	rng := rand.New(rand.NewPCG(3, 0))
	type kept struct {
		ref  Ref
		want []byte
	}
	var all []kept
	f := &fake{}
	var c *Conn
	f.data = func(b []byte) int {
		used := rng.IntN(len(b) + 1)
		if used > 2 {
			from, to := rng.IntN(used), used
			part := b[from:to]
			if rng.IntN(2) == 0 {
				part = b[from:to:to] // a parser may cap what it returns
			}
			all = append(all, kept{c.Share(part), bytes.Clone(part)})
			ref := c.Share(b[:1])
			require.Equal(r, b[:1], ref.Bytes())
			ref.Buf.Release()
		}
		return used
	}
	c, p := r.tcp(f)
	other, q := r.conn(&fake{})
	r.feed(p, string(random(rng, 8<<20)), func() int {
		q.send("noise in between")
		return 1 + rng.IntN(300_000)
	})
	require.False(t, other.IsClosed())
	require.Greater(t, len(all), 20)
	for i, k := range all {
		require.True(t, bytes.Equal(k.want, k.ref.Bytes()), "part %d of %d has changed", i, len(all))
	}
	c.Close(nil)
	for _, k := range all {
		k.ref.Buf.Release()
	}
	require.True(t, r.l.scratch.Sole())
}

// Values move from one connection's input to another's output without a copy.
func TestShareToAnotherConnection(t *testing.T) {
	r := newRig(t)
	dst, q := r.tcp(&fake{})
	src := &fake{}
	var c *Conn
	src.data = func(b []byte) int {
		ref := c.Share(b)
		dst.AppendRef(ref)
		ref.Buf.Release()
		return len(b)
	}
	c, p := r.tcp(src)
	want := string(random(rand.New(rand.NewPCG(4, 0)), 5<<20))
	var got strings.Builder
	r.feed(p, want, func() int { got.WriteString(q.text()); return 400_000 })
	r.until("all is moved", func() bool { got.WriteString(q.text()); return got.Len() >= len(want) })
	require.True(t, want == got.String())
	require.Zero(t, dst.Pending())
}

func TestShareOfNothing(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	var c *Conn
	h.data = func(b []byte) int {
		ref := c.Share(b[len(b):])
		require.Empty(t, ref.Bytes())
		ref.Buf.Release()
		return len(b)
	}
	c, p := r.conn(h)
	p.send("x")
	r.step()
	require.Equal(t, 1, h.datas)
}

func TestNoDataWhilePaused(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	c.Pause()
	p.send("waits") // in the same iteration already
	r.step()
	r.step()
	require.Zero(t, h.datas)
	c.Resume()
	r.step()
	r.step()
	require.Equal(t, "waits", string(h.got))
	require.Equal(t, 1, h.datas)
}

func TestBufferedInputIsRedeliveredOnce(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	var c *Conn
	h.data = func(b []byte) int {
		h.got = append(h.got, b[0])
		c.Pause()
		return 1
	}
	c, p := r.conn(h)
	p.send("abc")
	r.step()
	require.Equal(t, "a", string(h.got))
	require.Equal(t, 2, c.Buffered())
	p.send("d")
	for _, want := range []string{"ab", "abc"} {
		r.step()
		c.Resume()
		c.Pause()
		c.Resume()
		r.step()
		require.Equal(t, want, string(h.got))
	}
	c.Resume()
	r.until("the last byte", func() bool { return len(h.got) == 4 })
	require.Equal(t, "abcd", string(h.got))
}

// Resume from another connection's callback takes effect within the iteration.
func TestResumeFromAnotherConnection(t *testing.T) {
	r := newRig(t)
	h := &fake{data: func([]byte) int { return 0 }}
	c, p := r.conn(h)
	p.send("kept")
	r.step()
	c.Pause()
	r.step()
	h.data = nil
	other := &fake{data: func(b []byte) int { c.Resume(); return len(b) }}
	_, q := r.conn(other)
	q.send("go")
	r.step()
	require.Equal(t, "kept", string(h.got))
}

// What makes Data pause may be over before it returns. What it leaves then must not
// wait for more input, which may never come.
func TestPauseAndResumeWithinData(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	var c *Conn
	h.data = func(b []byte) int {
		h.got = append(h.got, b[0])
		c.Pause()
		c.Resume()
		return 1
	}
	c, p := r.conn(h)
	p.send("abc")
	r.step()
	require.Equal(t, "abc", string(h.got))
}

func TestPausedConnectionClosesOnHangup(t *testing.T) {
	for name, open := range map[string]func(*rig, Handler) (*Conn, *peer){
		"unix": (*rig).conn,
		"tcp":  (*rig).tcp,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			h := &fake{}
			c, p := open(r, h)
			c.Pause()
			r.step()
			p.send("unread")
			require.NoError(t, syscall.SetsockoptLinger(p.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
			p.close()
			r.until("closed", func() bool { return len(h.closes) == 1 })
			require.Error(t, h.closes[0])
			require.Zero(t, h.datas)
			require.Zero(t, h.eofs)
			require.Zero(t, r.l.Conns())
		})
	}
}

func TestReadErrorCloses(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	_, p := r.tcp(h)
	require.NoError(t, syscall.SetsockoptLinger(p.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	p.close() // resets
	r.until("closed", func() bool { return len(h.closes) == 1 })
	require.Equal(t, []error{syscall.ECONNRESET}, h.closes)
	require.Zero(t, h.eofs)
}
