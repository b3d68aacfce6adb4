package eventloop

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lingering opens a TCP connection that has queued a reply and been told to close,
// with unread input.
func lingering(t *testing.T) (r *rig, h *fake, c *Conn, p *peer) {
	r = newRig(t)
	h = &fake{}
	c, p = r.tcp(h)
	c.AppendString("the last reply")
	c.NotifyBelow(0)
	c.CloseFlushed()
	p.send("unread")
	r.until("input waits", func() bool { return c.flags&flagLinger != 0 || sysUnread(c.FD()) > 0 })
	c.markDirty()
	r.step()
	require.NotZero(t, c.flags&flagLinger)
	require.Empty(t, h.closes)
	return r, h, c, p
}

func requireSilent(t *testing.T, h *fake) {
	t.Helper()
	require.Zero(t, h.datas)
	require.Zero(t, h.eofs)
	require.Zero(t, h.flushes)
}

// A reset would take the reply away from a peer that is still sending.
func TestRepliesOutliveUnreadInput(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	h.data = func(b []byte) int { return len(b) }
	c, p := r.tcp(h)
	c.Pause()
	r.step()
	p.send(strings.Repeat("more than is read", 1000))
	r.until("input waits", func() bool { return sysUnread(c.FD()) > 0 })
	c.AppendString("-ERR protocol error\r\n")
	c.CloseFlushed()
	r.step()
	p.send("even later")
	r.step()
	require.Empty(t, h.closes)
	got, _, err := p.recv(100)
	require.NoError(t, err)
	require.Equal(t, "-ERR protocol error\r\n", string(got))
	_, eof, err := p.recv(100)
	require.NoError(t, err)
	require.True(t, eof, "the peer learns that nothing more comes")
	p.close()
	r.until("closed", func() bool { return len(h.closes) > 0 })
	require.Equal(t, []error{errFlushed}, h.closes)
	requireSilent(t, h)
	require.EqualValues(t, 17_000+len("even later"), c.bytes.Read)
	require.Empty(t, r.l.timers, "the timer is gone with the connection")
}

func TestNoLingeringWithoutUnreadInput(t *testing.T) {
	r := newRig(t)
	h := &fake{data: func([]byte) int { return 0 }}
	c, p := r.tcp(h)
	p.send("read, but not consumed")
	r.until("read", func() bool { return c.Buffered() > 0 })
	c.AppendString("bye")
	c.CloseFlushed()
	r.step()
	require.Equal(t, []error{errFlushed}, h.closes)
	require.Equal(t, "bye", p.text())
}

func TestLingeringEndsAfterItsTime(t *testing.T) {
	r, h, c, p := lingering(t)
	began := time.Now()
	require.Len(t, r.l.timers, 1)
	for len(h.closes) == 0 {
		require.Less(t, time.Since(began), patience)
		p.send("on and on")
		require.NoError(t, r.l.iterate())
	}
	require.GreaterOrEqual(t, time.Duration(r.l.now-c.linger.at), time.Duration(0))
	require.Equal(t, []error{errFlushed}, h.closes)
	requireSilent(t, h)
}

func TestCloseEndsLingeringAtOnce(t *testing.T) {
	r, h, c, _ := lingering(t)
	c.Close(errTest)
	require.Equal(t, []error{errTest}, h.closes)
	require.Empty(t, r.l.timers)
	r.step()
	requireSilent(t, h)
}

func TestShutdownEndsLingeringAtOnce(t *testing.T) {
	r, h, _, _ := lingering(t)
	r.l.shutdown()
	require.Equal(t, []error{ErrClosed}, h.closes)
	requireSilent(t, h)
}

func TestLingeringEndsOnReset(t *testing.T) {
	r, h, _, p := lingering(t)
	require.NoError(t, syscall.SetsockoptLinger(p.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	p.close()
	r.until("closed", func() bool { return len(h.closes) > 0 })
	require.Equal(t, []error{syscall.ECONNRESET}, h.closes)
	requireSilent(t, h)
}

// Nothing that a handler still does brings the connection back to life.
func TestLingeringConnectionTakesNoMore(t *testing.T) {
	r, h, c, p := lingering(t)
	timer := c.linger
	b := r.l.NewBuf(1)
	b.B = append(b.B, 'x')
	for range 3 {
		c.AppendString("late")
		c.Append([]byte("late"))
		c.AppendRef(Ref{Buf: b, Len: 1})
		c.NotifyBelow(10)
		c.Pause()
		c.Resume()
		c.CloseFlushed()
		p.send("more")
		r.step()
	}
	require.True(t, b.Sole())
	require.Same(t, timer, c.linger)
	require.Empty(t, h.closes)
	require.Equal(t, "the last reply", p.text())
	requireSilent(t, h)
	p.close()
	r.until("closed", func() bool { return len(h.closes) > 0 })
}
