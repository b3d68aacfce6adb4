package tcp

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sendUrgent sends all of b, the last byte of each piece that the kernel takes as urgent
// data.
func sendUrgent(t *testing.T, c *net.TCPConn, b []byte) {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	for len(b) > 0 {
		n, failed := 0, error(nil)
		require.NoError(t, raw.Write(func(fd uintptr) bool {
			n, failed = syscall.SendmsgN(int(fd), b, nil, nil, syscall.MSG_OOB)
			return !errors.Is(failed, syscall.EAGAIN)
		}))
		require.NoError(t, failed)
		b = b[n:]
	}
}

// halt stops the first loop until goOn is called, so that what happens meanwhile is there
// all at once.
func (p *proxy) halt() (goOn func()) {
	halted, again := make(chan struct{}), make(chan struct{})
	p.loops.first().post(func() { close(halted); <-again })
	<-halted
	return func() { close(again) }
}

// TestUrgentDataIsPartOfTheStream: the kernel ends a read in front of the urgent byte, and
// splice does not pass it.
func TestUrgentDataIsPartOfTheStream(t *testing.T) {
	t.Run("copied", func(t *testing.T) {
		p := run(t, all(serve(t, echo)))
		c := p.dial()
		exchange(t, c, "hello")
		goOn := p.halt()
		sendUrgent(t, c, []byte("abc"))
		_, err := io.WriteString(c, "def")
		require.NoError(t, err)
		goOn()
		b := make([]byte, 6)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		assert.Equal(t, "abcdef", string(b))
	})
	t.Run("spliced", func(t *testing.T) {
		const size = 16 << 20
		type result struct {
			digest string
			err    error
		}
		got := make(chan result, 1)
		p := run(t, all(serve(t, func(c *net.TCPConn) {
			d, err := digest(c)
			got <- result{d, err}
		})))
		c := p.dial()
		all, b := noise(9, size), make([]byte, 1<<20)
		for range size / len(b) {
			_, err := io.ReadFull(all, b)
			require.NoError(t, err)
			_, err = c.Write(b[:len(b)/2])
			require.NoError(t, err)
			sendUrgent(t, c, b[len(b)/2:])
		}
		require.NoError(t, c.CloseWrite())
		want, _ := digest(noise(9, size))
		r := <-got
		require.NoError(t, r.err)
		assert.Equal(t, want, r.digest)
	})
}
