package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"samaritan/api/common"
	"samaritan/controller"
	"samaritan/hotrestart"
)

// share is listen for an address that an open socket has, or one that includes it or is
// included: both have it until the other one is closed.
func (s *sockets) share(ctx context.Context, network, address string) (net.Listener, error) {
	return s.add(network, address, func(address string) (net.Listener, error) {
		for _, o := range s.open {
			if o.network == network && o.address == address {
				return o.duplicate()
			}
		}
		return s.bindBesideLocked(ctx, network, address)
	})
}

// bindBesideLocked binds an address that overlaps with those of open sockets. The kernel
// allows that to sockets that have SO_REUSEPORT, which they can get when they listen already.
// It remembers that for the port, so that from then on other processes of this user that ask
// for SO_REUSEPORT may listen there, too: this is only done when it cannot be helped.
func (s *sockets) bindBesideLocked(ctx context.Context, network, address string) (net.Listener, error) {
	for _, o := range s.open {
		if !controller.Overlap(addressOf(o.address), addressOf(address)) {
			continue
		}
		raw, err := o.SyscallConn()
		if err == nil {
			err = reusePort(network, o.address, raw)
		}
		if err != nil {
			return nil, fmt.Errorf("listen %s %s beside %s: %w", network, address, o.address, err)
		}
	}
	return bind(ctx, network, address, reusePort)
}

// isLeaving tells whether an inherited socket that nobody has asked for has the address, or one
// that includes it or is included.
func (s *sockets) isLeaving(a *common.Address) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.inherited, func(l hotrestart.Listener) bool { return controller.Overlap(a, addressOf(l.Address)) })
}

// reusePort is a function for net.ListenConfig.
func reusePort(_, _ string, c syscall.RawConn) (err error) {
	cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, cerr)
}

// addressOf is the opposite of hostPort.
func addressOf(hostPort string) *common.Address {
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return nil // which overlaps with none
	}
	return &common.Address{Ip: at.Addr().String(), Port: uint32(at.Port())}
}

// duplicate returns another listener of the same socket.
func (s *socket) duplicate() (net.Listener, error) {
	file, err := s.File()
	if err != nil {
		return nil, fmt.Errorf("share the socket of %s: %w", s.address, err)
	}
	defer file.Close()
	return net.FileListener(file)
}
