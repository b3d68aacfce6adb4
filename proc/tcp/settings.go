package tcp

import (
	"net/netip"
	"time"

	"samaritan/api/service"
	"samaritan/config"
)

// settings are what connections need of the configuration. They are immutable, and
// taken up by connections that exist, too.
type settings struct {
	connectTimeout time.Duration // for one attempt
	idleTimeout    time.Duration
	drainTimeout   time.Duration
	attempts       int // the most endpoints that are tried for one connection
}

func newSettings(svc *config.Service) *settings {
	o := svc.Stream()
	return &settings{
		connectTimeout: config.Duration(svc.Config.GetConnectTimeout()),
		idleTimeout:    config.Duration(svc.Config.GetIdleTimeout()),
		drainTimeout:   config.Duration(o.GetDrainTimeout()),
		attempts:       max(1, int(o.GetConnectAttempts())),
	}
}

func listenAddress(svc *config.Service) string {
	a := svc.Config.GetListener().GetAddress()
	return addressOf(a.GetIp(), a.GetPort()).String()
}

// endpointAddress is the address of an endpoint, IPv4 in IPv6 as plain IPv4: two
// endpoints with the same one are the same server.
func endpointAddress(e *service.Endpoint) netip.AddrPort {
	return addressOf(e.GetAddress().GetIp(), e.GetAddress().GetPort())
}

// addressOf takes what the config has checked already.
func addressOf(ip string, port uint32) netip.AddrPort {
	addr, _ := netip.ParseAddr(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
