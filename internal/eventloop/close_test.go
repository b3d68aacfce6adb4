package eventloop

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var errTest = errors.New("closed by the test")

func TestRepliesFlowAfterEOF(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.tcp(h)
	p.send("last request")
	p.endWrite()
	r.until("EOF", func() bool { return h.eofs == 1 })
	require.Equal(t, "last request", string(h.got))
	for range 3 {
		c.AppendString("reply ")
		r.step()
	}
	require.Equal(t, strings.Repeat("reply ", 3), p.text())
	require.Equal(t, 1, h.eofs)
	require.Empty(t, h.closes)
	c.CloseFlushed()
	r.step()
	require.Equal(t, []error{errFlushed}, h.closes)
	_, eof, err := p.recv(1)
	require.NoError(t, err)
	require.True(t, eof)
}

// epoll reports a hangup for ever; a connection that reads no more must end by it.
func TestPeerGoneAfterEOFDoesNotSpin(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	require.NoError(t, syscall.SetsockoptInt(c.FD(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
	c.Append(make([]byte, 100_000))
	p.endWrite()
	r.step()
	require.Equal(t, 1, h.eofs)
	require.Positive(t, c.Pending())
	p.close()
	r.step()
	require.Len(t, h.closes, 1)
}

func TestCloseFlushedWritesAllFirst(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	require.NoError(t, syscall.SetsockoptInt(c.FD(), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
	want := strings.Repeat("0123456789", 10_000)
	c.AppendString(want)
	c.CloseFlushed()
	c.CloseFlushed()
	c.Resume() // has no effect any more
	r.step()
	require.Empty(t, h.closes)
	c.AppendString("and this")
	var got strings.Builder
	r.until("closed", func() bool { got.WriteString(p.text()); return len(h.closes) > 0 })
	got.WriteString(p.text())
	require.Equal(t, want+"and this", got.String())
	require.Equal(t, []error{errFlushed}, h.closes)
	require.Zero(t, h.datas)
}

// Each callback may close its own connection and any other.
func TestCloseFromEveryCallback(t *testing.T) {
	for _, tc := range []struct {
		name string
		arm  func(r *rig, h *fake, c *Conn, p *peer, end func())
	}{
		{"Data", func(_ *rig, h *fake, _ *Conn, p *peer, end func()) {
			h.data = func(b []byte) int { end(); return len(b) }
			p.send("x")
		}},
		{"Data, claiming nothing", func(_ *rig, h *fake, _ *Conn, p *peer, end func()) {
			h.data = func([]byte) int { end(); return 0 }
			p.send("x")
		}},
		{"Data of its own buffer", func(r *rig, h *fake, c *Conn, p *peer, end func()) {
			h.data = func([]byte) int { return 0 }
			p.send(strings.Repeat("x", 80<<10))
			r.until("leftover", func() bool { return c.Buffered() == 80<<10 })
			h.data = func([]byte) int { end(); return 0 }
			p.send("x")
		}},
		{"Data delivered again", func(r *rig, h *fake, c *Conn, p *peer, end func()) {
			h.data = func([]byte) int { return 0 }
			p.send("x")
			r.step()
			c.Pause()
			c.Resume()
			h.data = func([]byte) int { end(); return 0 }
		}},
		{"EOF", func(_ *rig, h *fake, _ *Conn, p *peer, end func()) {
			h.eof = end
			p.endWrite()
		}},
		{"Flushed", func(_ *rig, h *fake, c *Conn, _ *peer, end func()) {
			h.flushed = end
			c.AppendString("x")
			c.NotifyBelow(0)
		}},
		{"Closed of another", func(r *rig, _ *fake, _ *Conn, _ *peer, end func()) {
			third, _ := r.conn(&fake{closed: func(error) { end() }})
			r.l.Post(func() { third.Close(nil) })
		}},
		{"timer", func(r *rig, _ *fake, _ *Conn, _ *peer, end func()) { r.l.After(0, end) }},
		{"posted function", func(r *rig, _ *fake, _ *Conn, _ *peer, end func()) { r.l.Post(end) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			h := &fake{}
			c, p := r.conn(h)
			oh := &fake{data: func([]byte) int { return 0 }}
			other, q := r.conn(oh)
			q.send("left over")
			r.step()
			other.AppendString("queued")
			q.send("in the same batch")
			h.closed = func(error) { c.Close(nil); c.CloseFlushed(); c.AppendString("too late") }
			tc.arm(r, h, c, p, func() {
				c.Close(errTest)
				require.Equal(t, []error{errTest}, h.closes, "before Close returns")
				other.Close(errTest)
			})
			r.until("both closed", func() bool { return len(h.closes)+len(oh.closes) == 2 })
			calls := h.datas + h.eofs + h.flushes + oh.datas
			p.close()
			q.close()
			r.step()
			r.step()
			require.Equal(t, []error{errTest}, h.closes)
			require.Equal(t, []error{errTest}, oh.closes)
			require.Equal(t, calls, h.datas+h.eofs+h.flushes+oh.datas, "called after Closed")
			require.Zero(t, r.l.Conns())
			require.Nil(t, c.in)
			require.Nil(t, other.in)
			require.True(t, r.l.scratch.Sole())
			require.Empty(t, r.l.scratch.B)
		})
	}
}

// The descriptor may live on elsewhere; the loop hears no more of it.
func TestClosedConnectionLeavesEpollThoughItsSocketLives(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	c, p := r.conn(h)
	dup, err := syscall.Dup(c.FD())
	require.NoError(t, err)
	defer func() { _ = syscall.Close(dup) }()
	c.Close(nil)
	p.send("for the other process")
	n, e := epollPoll(r.l.epfd, r.l.events)
	require.Zero(t, e)
	require.Zero(t, n)
}

func TestAddRefusesWhatEpollRefuses(t *testing.T) {
	r := newRig(t)
	_, err := r.l.Add(-1, &fake{})
	require.ErrorIs(t, err, syscall.EBADF)
	c, _ := r.conn(&fake{})
	_, err = r.l.Add(c.FD(), &fake{})
	require.ErrorIs(t, err, syscall.EEXIST)
	require.Equal(t, 1, r.l.Conns())
	require.Len(t, r.l.free, 1, "the slot is free again")
}

// The same without output: nothing but the hangup tells that the peer is gone.
func TestPeerGoneAfterEOFWithNothingToWrite(t *testing.T) {
	for name, open := range map[string]func(*rig, Handler) (*Conn, *peer){
		"unix": (*rig).conn,
		"tcp":  (*rig).tcp,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			h := &fake{}
			c, p := open(r, h)
			p.endWrite()
			r.until("EOF", func() bool { return h.eofs == 1 })
			r.step()
			require.Empty(t, h.closes)
			if name == "tcp" { // where only an answer tells that there is nobody
				p.close()
				c.AppendString("x")
			}
			p.close()
			r.until("closed", func() bool { return len(h.closes) == 1 })
			require.Equal(t, 1, h.eofs)
			require.Error(t, h.closes[0])
		})
	}
}

// The bytes that Data is called with stay valid until it returns, though it closes
// its connection and others take buffers.
func TestInputOutlivesCloseWithinData(t *testing.T) {
	r := newRig(t)
	h := &fake{data: func([]byte) int { return 0 }}
	c, p := r.conn(h)
	for range 2 { // beyond what is copied to the scratch buffer
		p.send(strings.Repeat("x", 40<<10))
		r.step()
	}
	p.send(strings.Repeat("x", 40<<10))
	var ref Ref
	h.data = func(b []byte) int {
		c.Close(nil)
		other := r.l.NewBuf(cap(b))
		other.B = append(other.B, strings.Repeat("y", cap(other.B))...)
		require.Equal(t, strings.Repeat("x", 120<<10), string(b))
		ref = c.Share(b)
		other.Release()
		return len(b)
	}
	r.step()
	require.Len(t, h.closes, 1)
	require.True(t, ref.Buf.Sole())
	require.Equal(t, strings.Repeat("x", 120<<10), string(ref.Bytes()))
	ref.Buf.Release()
}
