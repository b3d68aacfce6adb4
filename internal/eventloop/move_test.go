package eventloop

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keeper takes no input before there are n bytes of it.
func keeper(n int) *fake {
	f := new(fake)
	f.data = func(b []byte) int {
		if len(b) < n {
			return 0
		}
		f.got = append(f.got, b...)
		return len(b)
	}
	return f
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	n, err := syscall.Dup(fd)
	require.NoError(t, err)
	return n
}

func TestFrozenConnectionIsLeftAlone(t *testing.T) {
	r := newRig(t)
	f := keeper(10)
	c, p := r.tcp(f)
	p.send("half")
	r.until("input", func() bool { return c.Buffered() == 4 })
	input, ok := c.Freeze()
	require.True(t, ok)
	assert.True(t, c.Frozen())
	assert.Equal(t, "half", string(input.Bytes()))
	datas := f.datas
	p.send("more")
	p.endWrite()
	c.Pause()
	c.Resume()
	c.CloseFlushed()
	c.Append([]byte("reply"))
	for range 10 {
		r.step()
	}
	assert.Equal(t, datas, f.datas)
	assert.Zero(t, f.eofs)
	assert.Empty(t, f.closes)
	assert.Equal(t, 4, c.Unread(), "what comes stays in the socket")
	_, eof, err := p.recv(10)
	require.NoError(t, err)
	assert.False(t, eof, "the socket is not shut down")
	_, again := c.Freeze()
	assert.False(t, again)
	assert.Equal(t, "half", string(input.Bytes()))
	input.Buf.Release()
}

func TestThawedConnectionGoesOn(t *testing.T) {
	for _, paused := range []bool{false, true} {
		r := newRig(t)
		f := keeper(8)
		c, p := r.tcp(f)
		p.send("half")
		r.until("input", func() bool { return c.Buffered() == 4 })
		if paused {
			c.Pause()
		}
		input, ok := c.Freeze()
		require.True(t, ok)
		p.send("more")
		p.endWrite()
		r.step()
		input.Buf.Release()
		c.Thaw()
		c.Thaw()
		if paused {
			r.step()
			assert.Empty(t, f.got)
			c.Resume()
		}
		r.until("the rest", func() bool { return f.eofs == 1 })
		assert.Equal(t, "halfmore", string(f.got))
		c.Append([]byte("reply"))
		r.step()
		assert.Equal(t, "reply", p.text())
		assert.Empty(t, f.closes)
	}
}

func TestWhatWasAskedOfAFrozenConnectionTakesEffectWithTheThaw(t *testing.T) {
	r := newRig(t)
	f := new(fake)
	c, p := r.tcp(f)
	_, ok := c.Freeze()
	require.True(t, ok)
	c.Append([]byte("reply"))
	c.CloseFlushed()
	r.step()
	assert.Empty(t, p.text())
	c.Thaw()
	r.until("the end", func() bool { return len(f.closes) == 1 })
	assert.Equal(t, "reply", p.text())
}

func TestFrozenDescriptorOutlivesItsConnection(t *testing.T) {
	for name, end := range map[string]func(*rig, *Conn){
		"closed":       func(_ *rig, c *Conn) { c.Close(syscall.ECANCELED) },
		"loop stopped": func(r *rig, _ *Conn) { r.l.shutdown() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			f := new(fake)
			c, p := r.tcp(f)
			fd := c.FD()
			_, ok := c.Freeze()
			require.True(t, ok)
			end(r, c)
			assert.Len(t, f.closes, 1)
			c.Thaw()
			c.Close(nil)
			assert.Len(t, f.closes, 1)
			_, err := syscall.Write(fd, []byte("served on"))
			require.NoError(t, err)
			assert.Equal(t, "served on", p.text())
			require.NoError(t, syscall.Close(fd))
			_, eof, err := p.recv(1)
			require.NoError(t, err)
			assert.True(t, eof)
		})
	}
}

// Events of the iteration in which a connection is frozen, or its place is used anew, are
// void.
func TestEventsOfTheIterationDoNotReachAFrozenConnection(t *testing.T) {
	r := newRig(t)
	first, second := new(fake), new(fake)
	var conns []*Conn
	freezeOther := func(i int) func([]byte) int {
		return func(b []byte) int {
			if !conns[i].Frozen() {
				_, ok := conns[i].Freeze()
				require.True(t, ok)
			}
			return len(b)
		}
	}
	first.data, second.data = freezeOther(1), freezeOther(0)
	a, pa := r.tcp(first)
	b, pb := r.tcp(second)
	conns = []*Conn{a, b}
	pa.send("x")
	pb.send("y")
	r.until("one is read", func() bool { return first.datas+second.datas > 0 })
	r.step()
	assert.Equal(t, 1, first.datas+second.datas, "the other one was frozen before its event came")
	frozen, f := a, first
	if b.Frozen() {
		frozen, f = b, second
	}
	f.data = nil
	frozen.Thaw()
	r.until("its input", func() bool { return len(f.got) == 1 })
}

func TestWhoCannotBeFrozen(t *testing.T) {
	r := newRig(t)
	c, p := r.tcp(new(fake))
	c.Append([]byte("x"))
	_, ok := c.Freeze()
	assert.False(t, ok, "output waits")
	r.step()
	assert.True(t, c.Freezable())
	p.endWrite()
	r.until("EOF", func() bool { return !c.Freezable() })
	c, _ = r.tcp(new(fake))
	c.CloseFlushed()
	assert.False(t, c.Freezable(), "it is about to end")
	c.Close(nil)
	assert.False(t, c.Freezable(), "it has ended")
	ours, theirs := tcpPair(t)
	defer syscall.Close(theirs)
	c, err := r.l.AddWith(ours, new(fake), []byte("input"))
	require.NoError(t, err)
	assert.False(t, c.Freezable(), "its input is not delivered yet")
	r.step()
	assert.True(t, c.Freezable())
}

func TestInputReadElsewhereComesBeforeTheSockets(t *testing.T) {
	for _, size := range []int{0, 1, 100, turnBytes, turnBytes + 1, 1 << 20, 8 << 20} {
		for _, frame := range []int{1, 3 * size / 2} { // taken as it comes, and all in one piece
			r := newRig(t)
			ours, theirs := tcpPair(t)
			p := &peer{TB: r, fd: theirs}
			t.Cleanup(p.close)
			input := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
			f := keeper(frame)
			var count Bytes
			p.send(strings.Repeat("s", 100))
			c, err := r.l.AddWith(ours, f, input)
			require.NoError(t, err)
			c.CountBytes(&count)
			rest := frame - size
			if rest > 100 {
				go func() {
					for left := rest - 100; left > 0; {
						n, err := syscall.Write(p.fd, bytes.Repeat([]byte("s"), min(left, 64<<10)))
						if err == nil {
							left -= n
						}
					}
				}()
			}
			want := size + max(rest, 100)
			r.until("all", func() bool { return len(f.got) == want })
			assert.True(t, bytes.Equal(input, f.got[:size]), "%d bytes", size)
			assert.Equal(t, strings.Repeat("s", want-size), string(f.got[size:]))
			assert.Equal(t, uint64(want-size), count.Read, "what was read elsewhere does not count")
			assert.Empty(t, f.closes)
		}
	}
}

func TestInputReadElsewhereWaitsWhileTheConnectionIsPaused(t *testing.T) {
	r := newRig(t)
	ours, theirs := tcpPair(t)
	p := &peer{TB: r, fd: theirs}
	t.Cleanup(p.close)
	input := bytes.Repeat([]byte("x"), 300<<10)
	var c *Conn
	f := new(fake)
	f.data = func(b []byte) int {
		f.got = append(f.got, b...)
		c.Pause()
		return len(b)
	}
	c, err := r.l.AddWith(ours, f, input)
	require.NoError(t, err)
	p.send("y")
	for len(f.got) < len(input) {
		before := len(f.got)
		r.step()
		r.step()
		assert.LessOrEqual(t, len(f.got)-before, turnBytes)
		assert.Equal(t, len(input)-len(f.got)+1, c.Unread())
		c.Resume()
	}
	r.until("the socket's", func() bool { return len(f.got) == len(input)+1 })
}

// A large input takes turns, so that nobody else stands still meanwhile.
func TestInputReadElsewhereComesInTurns(t *testing.T) {
	r := newRig(t)
	ours, theirs := tcpPair(t)
	defer syscall.Close(theirs)
	input := make([]byte, 2<<20)
	f := new(fake)
	_, err := r.l.AddWith(ours, f, input)
	require.NoError(t, err)
	for len(f.got) < len(input) {
		before := len(f.got)
		r.step()
		assert.LessOrEqual(t, len(f.got)-before, turnsBytes)
		assert.Greater(t, len(f.got), before, "it does not wait for an event")
	}
}

func TestConnectionWithInputReadElsewhereCanEndAtAnyTime(t *testing.T) {
	for after := range 4 {
		r := newRig(t)
		ours, theirs := tcpPair(t)
		defer syscall.Close(theirs)
		var c *Conn
		f := new(fake)
		f.data = func(b []byte) int {
			if f.datas > after {
				c.Close(syscall.ECANCELED)
			}
			return 0
		}
		c, err := r.l.AddWith(ours, f, make([]byte, 200<<10))
		require.NoError(t, err)
		r.until("the end", func() bool { return len(f.closes) == 1 })
		r.step()
	}
}

func TestBackdatedConnectionIsIdle(t *testing.T) {
	r := newRig(t)
	c, _ := r.tcp(new(fake))
	read, sent := c.LastRead(), c.LastSent()
	c.Backdate(int64(time.Minute))
	assert.Equal(t, read-int64(time.Minute), c.LastRead())
	assert.Equal(t, sent-int64(time.Minute), c.LastSent())
}

// Two loops pass a connection to and fro while its peer sends: no byte is lost or doubled.
func TestConnectionMovesBetweenLoopsUnderWay(t *testing.T) {
	loops := make([]*Loop, 2)
	for i := range loops {
		loops[i], _ = run(t)
	}
	ours, theirs := tcpPair(t)
	p := &peer{TB: t, fd: theirs}
	t.Cleanup(p.close)
	const all = 7 * 600_000
	go func() {
		b := make([]byte, all)
		for i := range b {
			b[i] = byte(i * 31 >> 3)
		}
		for len(b) > 0 {
			n, err := syscall.Write(p.fd, b[:min(len(b), 10_000)])
			if err == nil {
				b = b[n:]
			}
		}
	}()
	got, fd, input := 0, ours, []byte(nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := 0; got < all; i++ {
		require.NoError(t, ctx.Err())
		l := loops[i%2]
		f := new(fake)
		var c *Conn
		read := make(chan struct{})
		f.data = func(b []byte) int {
			used := len(b) / 7 * 7 // the rest goes along
			for j := range used {
				if b[j] != byte((got+j)*31>>3) {
					t.Errorf("byte %d is wrong", got+j)
				}
			}
			if got += used; used > 0 {
				c.Pause()
				select {
				case <-read:
				default:
					close(read)
				}
			}
			return used
		}
		on(t, l, func() {
			var err error
			c, err = l.AddWith(fd, f, input)
			require.NoError(t, err)
		})
		wait(t, read)
		frozen := make(chan bool)
		for ok := false; !ok; {
			l.Post(func() {
				ref, ok := c.Freeze()
				if ok {
					fd, input = dup(t, c.FD()), nil
					if ref.Buf != nil {
						input = bytes.Clone(ref.Bytes())
						ref.Buf.Release()
					}
					old := c.FD()
					c.Close(nil)
					require.NoError(t, syscall.Close(old))
				} else {
					c.Resume() // input that it came with
				}
				frozen <- ok
			})
			ok = <-frozen
		}
	}
	assert.Equal(t, all, got)
	require.NoError(t, syscall.Close(fd))
}
