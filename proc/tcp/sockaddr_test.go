package tcp

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConnectionToItselfIsSeen makes one on purpose: a socket that is bound to the address
// that it connects to.
func TestConnectionToItselfIsSeen(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(fd)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	port := uint16(sa.(*syscall.SockaddrInet4).Port)
	to := newSockaddr(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
	require.Zero(t, sysConnect(fd, to))
	to.mayMeetItself = true // wherever the port lies
	assert.True(t, to.isOwn(fd))
	to.raw.Port++
	assert.False(t, to.isOwn(fd))
}

func TestAddressesForConnect(t *testing.T) {
	four := newSockaddr(netip.MustParseAddrPort("127.0.0.1:40000"))
	assert.Equal(t, syscall.AF_INET, four.family)
	assert.True(t, four.mayMeetItself)
	six := newSockaddr(netip.MustParseAddrPort("[fe80::1%lo]:80"))
	assert.Equal(t, syscall.AF_INET6, six.family)
	assert.EqualValues(t, 1, six.raw.Scope_id)
	assert.False(t, six.mayMeetItself)
	assert.EqualValues(t, 7, scopeOf("7"))
	assert.Zero(t, scopeOf("no such interface"))
}
