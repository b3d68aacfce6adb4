package config

import (
	"cmp"
	"net/netip"

	"samaritan/api/common"
)

// listeners are the addresses that one process listens on. Two of them clash
// when the kernel would refuse to bind the second: the same port, and the same
// IP or a wildcard that includes it. [::] includes IPv4.
type listeners struct {
	ports map[uint32]*portUse
}

// portUse is who has a port, by IP. The first of each family stands for all,
// so that a check takes the same time however many there are.
type portUse struct {
	exact   map[netip.Addr]string
	first4  string
	first6  string
	zeroIP4 string
	zeroIP6 string
}

func newListeners() *listeners {
	return &listeners{ports: map[uint32]*portUse{}}
}

// add takes a valid address for the field at path. If it clashes it returns the
// path of the field that has it already.
func (l *listeners) add(a *common.Address, path string) (clash string) {
	if a.Port == 0 {
		return ""
	}
	use := l.ports[a.Port]
	if use == nil {
		use = &portUse{exact: map[netip.Addr]string{}}
		l.ports[a.Port] = use
	}
	ip, err := netip.ParseAddr(a.Ip)
	if err != nil {
		return ""
	}
	ip = ip.Unmap()
	if clash = use.clash(ip); clash == "" {
		use.take(ip, path)
	}
	return clash
}

func (u *portUse) clash(ip netip.Addr) string {
	if path := u.exact[ip]; path != "" {
		return path
	}
	switch {
	case ip == netip.IPv6Unspecified():
		return cmp.Or(u.first6, u.first4)
	case ip == netip.IPv4Unspecified():
		return cmp.Or(u.first4, u.zeroIP6)
	case ip.Is4():
		return cmp.Or(u.zeroIP4, u.zeroIP6)
	}
	return u.zeroIP6
}

func (u *portUse) take(ip netip.Addr, path string) {
	u.exact[ip] = path
	if ip.Is4() {
		u.first4 = cmp.Or(u.first4, path)
	} else {
		u.first6 = cmp.Or(u.first6, path)
	}
	switch ip {
	case netip.IPv4Unspecified():
		u.zeroIP4 = path
	case netip.IPv6Unspecified():
		u.zeroIP6 = path
	}
}
