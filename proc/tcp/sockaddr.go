package tcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"
)

// sockaddr is an address in the form that connect(2) wants.
type sockaddr struct {
	family int
	len    uintptr
	raw    syscall.RawSockaddrInet6 // large enough for IPv4, too
}

func newSockaddr(a netip.AddrPort) *sockaddr {
	s := new(sockaddr)
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
// 3.5, simultaneous open). Which ports those are, and which addresses this host has, can
// change at any time, so all connections are looked at.
func (s *sockaddr) isOwn(fd int) bool {
	var own syscall.RawSockaddrInet6
	size := uint32(syscall.SizeofSockaddrInet6)
	_, _, e := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&own)), uintptr(unsafe.Pointer(&size)))
	// An IPv4 address stands where IPv6 has the flow, which is 0 here.
	return e == 0 && own.Port == s.raw.Port && own.Flowinfo == s.raw.Flowinfo && own.Addr == s.raw.Addr
}
