package proc

import (
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pollListener is a listener that is polled by the test.
func pollListener(t *testing.T, limit int) *Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := NewListener(ln, limit, "", slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(l.Retire)
	_, err = l.Open()
	require.NoError(t, err)
	return l
}

func dialPolled(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTakeAcceptsWithoutWaiting(t *testing.T) {
	l := pollListener(t, 0)
	fd, pause := l.Take()
	assert.Equal(t, -1, fd)
	assert.Zero(t, pause, "nobody is there")
	c := dialPolled(t, l)
	fd, _ = l.Take()
	require.GreaterOrEqual(t, fd, 0)
	defer syscall.Close(fd)
	assert.Equal(t, 1, l.Active())
	v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
	require.NoError(t, err)
	assert.NotZero(t, v)
	v, err = syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
	require.NoError(t, err)
	assert.Zero(t, v)
	_, err = syscall.Write(fd, []byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 5)
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(b))
}

func TestTakeTurnsAwayThoseOverTheLimit(t *testing.T) {
	l := pollListener(t, 1)
	dialPolled(t, l)
	refused := dialPolled(t, l)
	fd, _ := l.Take()
	require.GreaterOrEqual(t, fd, 0)
	defer syscall.Close(fd)
	none, _ := l.Take()
	assert.Equal(t, -1, none)
	b, err := io.ReadAll(refused)
	assert.NoError(t, err)
	assert.Empty(t, b)
	assert.EqualValues(t, 1, l.Restricted())
	l.Release()
	dialPolled(t, l)
	fd, _ = l.Take()
	assert.GreaterOrEqual(t, fd, 0)
	_ = syscall.Close(fd)
}

func TestTakeWithoutDescriptorsTurnsOneAwayAndAsksForAPause(t *testing.T) {
	l := pollListener(t, 0)
	first, second := dialPolled(t, l), dialPolled(t, l)
	var had syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had))
	few := had
	few.Cur = uint64(l.reserve) + 1 // the reserve can be used, and nothing above it
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	var holes []int // below it
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			break
		}
		holes = append(holes, fd)
	}
	fd, pause := l.Take()
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had))
	for _, fd := range holes {
		_ = syscall.Close(fd)
	}
	assert.Equal(t, -1, fd)
	assert.Equal(t, acceptBackoffMin, pause)
	b, err := io.ReadAll(first)
	assert.NoError(t, err)
	assert.Empty(t, b)
	assert.EqualValues(t, 1, l.Restricted())
	assert.Zero(t, l.Active())
	fd, pause = l.Take()
	require.GreaterOrEqual(t, fd, 0)
	assert.Zero(t, pause)
	_, err = syscall.Write(fd, []byte("x"))
	require.NoError(t, err)
	_ = syscall.Close(fd)
	b, err = io.ReadAll(second)
	assert.NoError(t, err)
	assert.Equal(t, "x", string(b))
}

func TestRetireFreesTheAddress(t *testing.T) {
	l := pollListener(t, 0)
	l.Retire()
	l.Retire()
	_, err := net.Dial("tcp", l.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestOpenWithoutDescriptorIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	_, err = NewListener(noFile{ln}, 0, "", slog.New(slog.DiscardHandler)).Open()
	assert.ErrorContains(t, err, "no descriptor")
}

// TestTakeComesToAnEnd: however many clients over the limit come, there is other work.
func TestTakeComesToAnEnd(t *testing.T) {
	l := pollListener(t, 1)
	for range 100 {
		dialPolled(t, l)
	}
	fd, _ := l.Take()
	require.GreaterOrEqual(t, fd, 0)
	defer syscall.Close(fd)
	fd, pause := l.Take()
	assert.Equal(t, -1, fd)
	assert.Zero(t, pause)
	assert.LessOrEqual(t, l.Restricted(), uint64(takeTries))
	for range 100 {
		fd, _ = l.Take()
		require.Equal(t, -1, fd)
	}
	assert.EqualValues(t, 99, l.Restricted())
}

func TestTakeLeavesTheRoomOfClientsElsewhere(t *testing.T) {
	l := pollListener(t, 2)
	l.SetElsewhere(2)
	c := dialPolled(t, l)
	fd, _ := l.Take()
	assert.Equal(t, -1, fd)
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Empty(t, b)
	assert.Equal(t, uint64(1), l.Restricted())
	l.SetElsewhere(1)
	dialPolled(t, l)
	fd, _ = l.Take()
	require.GreaterOrEqual(t, fd, 0)
	defer syscall.Close(fd)
	assert.Equal(t, 1, l.Active())
}
