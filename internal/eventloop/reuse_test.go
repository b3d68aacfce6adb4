package eventloop

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Two connections are ready in one batch. The first to run closes the other and
// gives the loop a new connection that has the same descriptor, with input waiting.
func TestDescriptorReusedWithinOneIteration(t *testing.T) {
	r := newRig(t)
	var conns [2]*Conn
	var fakes [2]fake
	fresh := &fake{}
	var freshConn *Conn
	strike := func(victim int) func([]byte) int {
		return func(b []byte) int {
			if freshConn != nil {
				t.Error("events of a closed connection were delivered")
				return len(b)
			}
			old := conns[victim]
			fd, slot := old.FD(), old.slot
			old.Close(nil)
			a, z := socketpair(t)
			t.Cleanup(func() { _ = syscall.Close(z) })
			if a != fd {
				got, err := unix.FcntlInt(uintptr(a), unix.F_DUPFD_CLOEXEC, fd)
				require.NoError(t, err)
				require.NoError(t, syscall.Close(a))
				a = got
			}
			require.Equal(t, fd, a, "the test needs the same descriptor")
			_, err := syscall.Write(z, []byte("for the new one"))
			require.NoError(t, err)
			freshConn, err = r.l.Add(a, fresh)
			require.NoError(t, err)
			require.NotEqual(t, slot, freshConn.slot, "slots are not reused within an iteration")
			return len(b)
		}
	}
	for i := range conns {
		fakes[i].data = strike(1 - i)
		c, p := r.conn(&fakes[i])
		conns[i] = c
		p.send("x")
	}
	r.step()
	require.NotNil(t, freshConn)
	require.Equal(t, 1, fakes[0].datas+fakes[1].datas)
	require.Zero(t, fresh.datas, "the new connection got the old one's event")
	r.step()
	require.Equal(t, "for the new one", string(fresh.got))
	require.Equal(t, 1, fakes[0].datas+fakes[1].datas)
	require.Equal(t, 2, r.l.Conns())
}

// A slot is used again from the next iteration on, under another generation.
func TestSlotIsReusedWithNewGeneration(t *testing.T) {
	r := newRig(t)
	c, _ := r.conn(&fake{})
	slot, gen := c.slot, r.l.slots[c.slot].gen
	c.Close(nil)
	other, _ := r.conn(&fake{})
	require.NotEqual(t, slot, other.slot)
	r.step()
	again, p := r.conn(&fake{})
	require.Equal(t, slot, again.slot)
	require.NotEqual(t, gen, r.l.slots[slot].gen)
	p.send("hello")
	r.step()
	require.Equal(t, "hello", string(again.handler.(*fake).got))

	// An event under the old generation, as if epoll had kept one.
	ev := epollEvent{Events: syscall.EPOLLIN, Fd: slot, Pad: gen}
	require.Zero(t, epollCtl(r.l.epfd, syscall.EPOLL_CTL_MOD, again.FD(), &ev))
	p.send("not seen")
	r.step()
	require.Equal(t, "hello", string(again.handler.(*fake).got))
}

// An entry in the dirty and resumed lists outlives its connection; it must do
// nothing then.
func TestStaleListEntriesDoNothing(t *testing.T) {
	r := newRig(t)
	h := &fake{data: func([]byte) int { return 0 }}
	c, p := r.conn(h)
	p.send("left")
	r.step()
	c.Pause()
	c.Resume()
	c.Append([]byte("lost"))
	c.NotifyBelow(100)
	c.Close(nil)
	r.step()
	require.Equal(t, 1, h.datas)
	require.Zero(t, h.flushes)
	require.Len(t, h.closes, 1)
	c.Append([]byte("x"))
	c.AppendString("x")
	c.NotifyBelow(1)
	c.Pause()
	c.Resume()
	c.CloseFlushed()
	c.Close(nil)
	r.step()
	require.Len(t, h.closes, 1)
	require.Zero(t, h.flushes)
	require.Zero(t, c.Pending())
}
