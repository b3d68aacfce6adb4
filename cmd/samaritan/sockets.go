package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"samaritan/hotrestart"
)

// backlog is how many clients may wait to be accepted; the kernel has a limit of its
// own (net.core.somaxconn).
const backlog = 4096

// errHandedOver refuses to bind what the process that follows may want.
var errHandedOver = errors.New("another process has taken over")

// sockets are the listening sockets of the process: those that are open, which a hot
// restart hands to the next process, and those that came from the one before and that
// nobody has asked for yet.
type sockets struct {
	mu        sync.Mutex // guards the following
	open      []*socket
	inherited []hotrestart.Listener
	closed    bool // nothing is bound any more
}

// socket is a listener that is known as long as it is open.
type socket struct {
	*net.TCPListener
	network, address string // as asked for
	owner            *sockets
}

// listen returns the inherited socket of that address or, when there is none, binds it.
func (s *sockets) listen(ctx context.Context, network, address string) (net.Listener, error) {
	return s.add(network, address, func(address string) (net.Listener, error) {
		return bind(ctx, network, address, nil)
	})
}

// add opens a socket by what is called with the lock held, unless it was inherited.
func (s *sockets) add(network, address string, makeLocked func(address string) (net.Listener, error)) (net.Listener, error) {
	address = canonical(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("listen %s %s: %w", network, address, errHandedOver)
	}
	ln, err := s.takeLocked(network, address)
	if ln == nil && err == nil {
		ln, err = makeLocked(address)
	}
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return nil, fmt.Errorf("listen %s %s: not a TCP socket", network, address)
	}
	open := &socket{TCPListener: tcp, network: network, address: address, owner: s}
	s.open = append(s.open, open)
	return open, nil
}

// bind binds an address. 0.0.0.0 is IPv4 alone, as everywhere else; Go would take IPv6 with
// it, as [::] takes both. Multipath TCP, which Go would offer, costs and has no use on one host.
func bind(ctx context.Context, network, address string, control func(network, address string, c syscall.RawConn) error) (net.Listener, error) {
	lc := net.ListenConfig{Control: control}
	lc.SetMultipathTCP(false)
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		network = "tcp4"
	}
	return lc.Listen(ctx, network, address)
}

// takeLocked returns nil when nothing was inherited for the address.
func (s *sockets) takeLocked(network, address string) (net.Listener, error) {
	i := slices.IndexFunc(s.inherited, func(l hotrestart.Listener) bool {
		return l.Network == network && l.Address == address
	})
	if i < 0 {
		return nil, nil
	}
	file := s.inherited[i].File
	s.inherited = slices.Delete(s.inherited, i, i+1)
	defer file.Close()
	ln, err := net.FileListener(file) // a duplicate
	if err != nil {
		return nil, fmt.Errorf("use the inherited socket of %s: %w", address, err)
	}
	return ln, nil
}

func (s *socket) sameAs(o *socket) bool { return s.network == o.network && s.address == o.address }

// Close unbinds the socket, unless another process or another proc has it too.
func (s *socket) Close() error {
	s.owner.mu.Lock()
	s.owner.open = slices.DeleteFunc(s.owner.open, func(o *socket) bool { return o == s })
	s.owner.mu.Unlock()
	return s.TCPListener.Close()
}

// inherit adds sockets of the process before.
func (s *sockets) inherit(list []hotrestart.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited = append(s.inherited, list...)
}

// unused tells whether there are inherited sockets that nobody has asked for yet.
func (s *sockets) unused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.inherited) > 0
}

// unbindRest ends the inherited sockets that nobody has asked for: their addresses are
// not in the config any more. The process before has them too, so closing alone would
// leave clients waiting there; shut down, they refuse.
func (s *sockets) unbindRest() (addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.inherited {
		control(l.File, func(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_RDWR) })
		_ = l.File.Close()
		addresses = append(addresses, l.Address)
	}
	s.inherited = nil
	return addresses
}

// duplicates returns the open sockets for another process. They are the caller's.
func (s *sockets) duplicates() ([]hotrestart.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []hotrestart.Listener
	for i, o := range s.open {
		if slices.ContainsFunc(s.open[:i], o.sameAs) {
			continue // it is shared
		}
		file, err := o.File()
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("duplicate the socket of %s: %w", o.address, err)
		}
		list = append(list, hotrestart.Listener{Network: o.network, Address: o.address, File: file})
	}
	return list, nil
}

// refuse makes every listen fail from now on.
func (s *sockets) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// takeBack undoes refuse and unbindRest of a process that is gone: duplicates that are
// not open here any more can be had again, the others listen again.
func (s *sockets) takeBack(duplicates []hotrestart.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
	for _, l := range duplicates {
		control(l.File, func(fd int) { _ = syscall.Listen(fd, backlog) }) // it may have been shut down there
		if slices.ContainsFunc(s.open, func(o *socket) bool { return o.network == l.Network && o.address == l.Address }) {
			_ = l.File.Close()
			continue
		}
		s.inherited = append(s.inherited, l)
	}
}

func closeAll(list []hotrestart.Listener) {
	for _, l := range list {
		_ = l.File.Close()
	}
}

// control is used in place of File.Fd, which may make the socket block for everybody.
func control(f *os.File, fn func(fd int)) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { fn(int(fd)) })
	}
}

// canonical has one text for one address.
func canonical(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
	}
	return address
}
