package main

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openSockets returns a set whose sockets are closed when the test ends.
func openSockets(t *testing.T) *sockets {
	t.Helper()
	s := new(sockets)
	t.Cleanup(func() {
		for _, o := range append([]*socket{}, s.open...) {
			_ = o.Close()
		}
	})
	return s
}

func TestWildcardOfOneFamilyLeavesTheOther(t *testing.T) {
	s := openSockets(t)
	four, err := s.listen(t.Context(), "tcp", "0.0.0.0:0")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(four.Addr().String(), "0.0.0.0:"), four.Addr())
	six, err := s.listen(t.Context(), "tcp", "[::]:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(six.Addr().String())
	require.NoError(t, err)
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	require.NoError(t, err, "it is both families")
	require.NoError(t, conn.Close())
}

func TestSharedAddressStaysBoundUntilBothAreClosed(t *testing.T) {
	s := openSockets(t)
	first, err := s.listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := first.Addr().String()
	s.open[0].address = address // as if it had been asked for
	_, err = s.listen(t.Context(), "tcp", address)
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	same, err := s.share(t.Context(), "tcp", address)
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	wide, err := s.share(t.Context(), "tcp", "0.0.0.0:"+port)
	require.NoError(t, err)
	list, err := s.duplicates()
	require.NoError(t, err)
	assert.Len(t, list, 2, "another process gets each socket once")
	closeAll(list)

	for i, ln := range []net.Listener{first, same, wide} {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err, "%d of them are closed", i)
		require.NoError(t, conn.Close())
		require.NoError(t, ln.Close())
	}
	_, err = net.Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestOfWhatIsHandedOverNothingIsShared(t *testing.T) {
	s := openSockets(t)
	ln, err := s.listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.refuse()
	_, err = s.share(t.Context(), "tcp", ln.Addr().String())
	require.ErrorIs(t, err, errHandedOver)
}
