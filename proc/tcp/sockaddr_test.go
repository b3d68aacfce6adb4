package tcp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConnectionToItselfIsSeen makes one on purpose: a socket that is bound to the address
// that it connects to. The port lies below the default range of ephemeral ports, which is
// often made larger.
func TestConnectionToItselfIsSeen(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		t.Run(ip, func(t *testing.T) {
			var to *sockaddr
			fd := -1
			for port := uint16(20000); fd < 0 && port < 21000; port++ {
				to = newSockaddr(netip.AddrPortFrom(netip.MustParseAddr(ip), port))
				fd = meetItself(t, to)
			}
			require.GreaterOrEqual(t, fd, 0, "no port is free")
			defer sysClose(fd)
			assert.True(t, to.isOwn(fd))
			to.raw.Port++
			assert.False(t, to.isOwn(fd))
		})
	}
}

// meetItself connects a socket to itself, and returns -1 when the port is not free.
func meetItself(t *testing.T, to *sockaddr) (fd int) {
	fd, e := sysSocket(to.family)
	require.Zero(t, e)
	_, _, e = syscall.RawSyscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), to.len)
	if e == 0 {
		e = sysConnect(fd, to)
	}
	if e != 0 && e != syscall.EINPROGRESS {
		sysClose(fd)
		return -1
	}
	return fd
}

// TestSamePortOfAnotherHostIsNoConnectionToItself: the two ends may have the same port by
// chance.
func TestSamePortOfAnotherHostIsNoConnectionToItself(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	to := newSockaddr(netip.MustParseAddrPort(ln.Addr().String()))
	fd, e := sysSocket(to.family)
	require.Zero(t, e)
	defer sysClose(fd)
	own := newSockaddr(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), uint16(ln.Addr().(*net.TCPAddr).Port)))
	_, _, e = syscall.RawSyscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&own.raw)), own.len)
	require.Zero(t, e)
	e = sysConnect(fd, to)
	require.True(t, e == 0 || e == syscall.EINPROGRESS, "%v", e)
	assert.False(t, to.isOwn(fd))
}

func TestAddressesForConnect(t *testing.T) {
	four := newSockaddr(netip.MustParseAddrPort("127.0.0.1:40000"))
	assert.Equal(t, syscall.AF_INET, four.family)
	six := newSockaddr(netip.MustParseAddrPort("[fe80::1%lo]:80"))
	assert.Equal(t, syscall.AF_INET6, six.family)
	assert.EqualValues(t, 1, six.raw.Scope_id)
	assert.EqualValues(t, 7, scopeOf("7"))
	assert.Zero(t, scopeOf("no such interface"))
}
