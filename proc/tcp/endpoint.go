package tcp

import (
	"net/netip"
	"sync/atomic"

	"samaritan/api/service"
)

// endpoint is one server of the service. All loops share it. It lives as long as it is
// configured or has connections, and is the same one when it comes back in between.
type endpoint struct {
	// immutable
	address string // "ip:port"
	to      *sockaddr

	// guarded by the lock of the set that it is in
	state     service.Endpoint_State
	typ       service.Endpoint_Type
	removed   bool  // not in the configuration any more
	leftSince int64 // the time from which on leaving holds

	// atomic
	leaving atomic.Bool  // removed or DOWN: gets no new connections
	healthy atomic.Bool  // by the last verdict of the health checks
	load    atomic.Int64 // connections that are open or being made; what policies compare
	rest    rest

	opened   atomic.Uint64
	active   atomic.Int64
	failures atomic.Uint64 // attempts to connect that failed
	rx, tx   atomic.Uint64 // bytes from it and to it
}

func newEndpoint(a netip.AddrPort) *endpoint {
	ep := &endpoint{address: a.String(), to: newSockaddr(a)}
	ep.healthy.Store(true)
	return ep
}

// usable tells whether the configuration allows connections to the endpoint.
func usable(state service.Endpoint_State, removed bool) bool {
	return !removed && state != service.Endpoint_DOWN
}
