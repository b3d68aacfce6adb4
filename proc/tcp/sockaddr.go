package tcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"
)

// selfPorts is the first port from which on a connection from this host to itself can
// meet itself; see [sockaddr.isOwn]. It is the start of Linux' default range of
// ephemeral ports.
const selfPorts = 32768

// sockaddr is an address in the form that connect(2) wants.
type sockaddr struct {
	family int
	len    uintptr
	raw    syscall.RawSockaddrInet6 // large enough for IPv4, too
	// mayMeetItself: nobody needs to listen there for a connection to be made.
	mayMeetItself bool
}

func newSockaddr(a netip.AddrPort) *sockaddr {
	s := &sockaddr{mayMeetItself: a.Addr().IsLoopback() && a.Port() >= selfPorts}
	if a.Addr().Is4() {
		v4 := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		s.family, s.len = syscall.AF_INET, syscall.SizeofSockaddrInet4
		v4.Family, v4.Port, v4.Addr = syscall.AF_INET, networkOrder(a.Port()), a.Addr().As4()
		return s
	}
	s.family, s.len = syscall.AF_INET6, syscall.SizeofSockaddrInet6
	s.raw.Family, s.raw.Port, s.raw.Addr = syscall.AF_INET6, networkOrder(a.Port()), a.Addr().As16()
	s.raw.Scope_id = scopeOf(a.Addr().Zone())
	return s
}

func networkOrder(port uint16) (n uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&n))[:], port)
	return n
}

// scopeOf is the number of a zone, which is the name of an interface or its number; 0
// when there is none such.
func scopeOf(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if zone == "" {
		return 0
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// isOwn tells whether fd, which is connected to s, is connected to itself: when nobody
// listens on a port of this host from which the kernel takes ports for connections, it
// may take just that one, and TCP then lets the socket talk to itself (RFC 9293, section
// 3.5, simultaneous open).
func (s *sockaddr) isOwn(fd int) bool {
	if !s.mayMeetItself {
		return false
	}
	var own syscall.RawSockaddrInet6
	size := uint32(syscall.SizeofSockaddrInet6)
	_, _, e := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&own)), uintptr(unsafe.Pointer(&size)))
	return e == 0 && own.Port == s.raw.Port // the port stands at the same place in both families
}
