package proc

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const refusalText = "-ERR max number of clients reached\r\n"

// rig is a listener that runs, and the sockets that it has accepted.
type rig struct {
	*Listener
	accepted chan int
	stop     context.CancelFunc
	ended    chan error
}

func runListener(t *testing.T, network, address string, limit int) *rig {
	t.Helper()
	ln, err := net.Listen(network, address)
	require.NoError(t, err)
	r := &rig{
		Listener: NewListener(ln, limit, refusalText, slog.New(slog.NewTextHandler(t.Output(), nil))),
		accepted: make(chan int, 16), ended: make(chan error, 1),
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.ended <- r.Run(ctx, func(fd int) { r.accepted <- fd }) }()
	t.Cleanup(func() {
		stop()
		r.Close()
		for len(r.accepted) > 0 {
			_ = syscall.Close(<-r.accepted)
		}
	})
	return r
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial(r.Addr().Network(), r.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	t.Cleanup(func() { c.Close() })
	return c
}

// take returns the next accepted socket, which the caller owns.
func (r *rig) take(t *testing.T) int {
	t.Helper()
	select {
	case fd := <-r.accepted:
		return fd
	case <-time.After(10 * time.Second):
		t.Fatal("no connection was accepted")
		return -1
	}
}

func (r *rig) waitEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not return")
	}
}

func TestAcceptedSocketsAreRawAndNonBlocking(t *testing.T) {
	for name, where := range map[string][2]string{
		"tcp":  {"tcp", "127.0.0.1:0"},
		"tcp6": {"tcp", "[::1]:0"},
		"unix": {"unix", filepath.Join(t.TempDir(), "s")},
	} {
		t.Run(name, func(t *testing.T) {
			r := runListener(t, where[0], where[1], 0)
			c := r.dial(t)
			fd := r.take(t)
			defer syscall.Close(fd)
			flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
			require.Zero(t, e)
			assert.NotZero(t, flags&syscall.O_NONBLOCK)
			flags, _, e = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
			require.Zero(t, e)
			assert.NotZero(t, flags&syscall.FD_CLOEXEC)
			if where[0] == "tcp" {
				v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
				require.NoError(t, err)
				assert.NotZero(t, v)
				v, err = syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
				require.NoError(t, err)
				assert.NotZero(t, v)
			}
			_, err := syscall.Write(fd, []byte("hello"))
			require.NoError(t, err)
			b := make([]byte, 5)
			_, err = io.ReadFull(c, b)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(b))
			assert.Equal(t, 1, r.Active())
			r.Release()
			assert.Equal(t, 0, r.Active())
		})
	}
}

// refused reports that the client gets the refusal and then the end.
func refused(t *testing.T, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, refusalText, string(b))
}

func TestClientsOverTheLimitAreToldAndClosed(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 2)
	for range 2 {
		r.dial(t)
		defer syscall.Close(r.take(t))
	}
	refused(t, r.dial(t))
	refused(t, r.dial(t))
	assert.Equal(t, uint64(2), r.Restricted())
	assert.Equal(t, 2, r.Active())

	r.Release() // room for one
	r.dial(t)
	defer syscall.Close(r.take(t))
	refused(t, r.dial(t))

	r.SetLimit(1) // those that are there stay
	assert.Equal(t, 2, r.Active())
	r.Release()
	refused(t, r.dial(t))
	r.SetLimit(0) // no limit
	for range 3 {
		r.dial(t)
		defer syscall.Close(r.take(t))
	}
	assert.Equal(t, 4, r.Active())
	assert.Equal(t, uint64(4), r.Restricted())
}

func TestRunEndsWithTheContext(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 0)
	r.dial(t)
	defer syscall.Close(r.take(t))
	r.stop()
	r.waitEnd(t)
	_, err := net.Dial("tcp", r.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "the address is free again")
}

func TestCloseEndsRun(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 0)
	r.dial(t)
	defer syscall.Close(r.take(t))
	r.Close()
	r.Close()
	r.waitEnd(t)
	_, err := net.Dial("tcp", r.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestCloseAtAnyMomentEndsRun(t *testing.T) {
	for range 100 {
		r := runListener(t, "tcp", "127.0.0.1:0", 0)
		r.Close() // before, while, or after Run gets going
		r.waitEnd(t)
		_, err := net.Dial("tcp", r.Addr().String())
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
}

// noFile is a listener that accepts by itself only.
type noFile struct{ net.Listener }

func TestListenerWithoutDescriptorIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	l := NewListener(noFile{ln}, 0, "", slog.New(slog.DiscardHandler))
	assert.ErrorContains(t, l.Run(t.Context(), nil), "no descriptor")
}
