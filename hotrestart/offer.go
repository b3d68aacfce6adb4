package hotrestart

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

// perOffer is how many listeners there are in a message at most: their addresses have
// to fit too.
const perOffer = 64

// Listener is a listening socket on its way to the child.
type Listener struct {
	// Network and Address are what was asked for, as in net.Listen.
	Network, Address string
	// File is the socket. Offer leaves it to the caller, and Predecessor.Listeners gives
	// it to the caller.
	File *os.File
}

// Offer sends the listening sockets, and welcome as JSON. With an error the child is dead.
func (s *Successor) Offer(listeners []Listener, welcome any) error {
	raw, err := json.Marshal(welcome)
	if err != nil {
		return s.abort(fmt.Errorf("encode the welcome: %w", err))
	}
	for {
		n := min(len(listeners), perOffer)
		last := n == len(listeners)
		var data []byte
		if last {
			data = raw
		}
		if err := s.offer(listeners[:n], last, data); err != nil {
			return s.abort(fmt.Errorf("offer the listening sockets: %w", err))
		}
		if listeners = listeners[n:]; last {
			return nil
		}
	}
}

func (s *Successor) offer(listeners []Listener, last bool, raw []byte) error {
	body := offer{Last: last}
	var fds []int
	for _, l := range listeners {
		fd, err := descriptor(l.File)
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.Network, l.Address, err)
		}
		body.Listeners = append(body.Listeners, address{l.Network, l.Address})
		fds = append(fds, fd)
	}
	defer runtime.KeepAlive(listeners)
	return s.wire.send(kindOffer, body, fds, raw)
}

// descriptor is that of the file, for as long as it is open. os.File.Fd would put it in
// blocking mode, and with it the socket that the parent still accepts from.
func descriptor(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}
