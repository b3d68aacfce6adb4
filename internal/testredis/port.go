package testredis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports are taken from [firstPort, firstPort+portCount): below 32768, where
// Linux by default begins to give out ports to outgoing connections. A server
// that is down could find its port taken by one of those; worse, a client that
// keeps dialling a free port of that range may connect to itself.
const (
	firstPort = 16000
	portCount = 16000
)

// port is a TCP port on 127.0.0.1 that no other user of this package, in any
// process of this network namespace, will take until release.
type port struct {
	number int
	lock   int // fd of a socket bound to a name made from the number
}

// reservePort finds a free port and reserves it. Something else on the machine
// may still take it before its server binds it; the start is then tried again
// with another.
func reservePort() (port, error) {
	for range 1000 {
		number := firstPort + rand.IntN(portCount)
		p, err := lockPort(number)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return port{}, fmt.Errorf("testredis: reserve port %d: %w", number, err)
		}
		if !p.free() {
			p.release()
			continue
		}
		return p, nil
	}
	return port{}, fmt.Errorf("testredis: no free port from %d to %d", firstPort, firstPort+portCount-1)
}

// lockPort takes the lock of a port: an abstract unix socket, which exists
// once per name and goes away with its process.
func lockPort(number int) (port, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return port{}, err
	}
	name := &syscall.SockaddrUnix{Name: "@samaritan-testredis-" + strconv.Itoa(number)}
	if err := syscall.Bind(fd, name); err != nil {
		syscall.Close(fd)
		return port{}, err
	}
	return port{number: number, lock: fd}, nil
}

// free reports whether the port can be bound right now.
func (p port) free() bool {
	l, err := net.Listen("tcp4", p.addr())
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// addr returns the port's address, "127.0.0.1:port".
func (p port) addr() string { return "127.0.0.1:" + strconv.Itoa(p.number) }

// release gives the port back. The zero port is allowed.
func (p port) release() {
	if p.number != 0 {
		syscall.Close(p.lock)
	}
}

// ReserveAddresses returns addresses "127.0.0.1:port" for servers, which no other user of this
// package gets until release is called.
func ReserveAddresses(n int) (addrs []string, release func(), err error) {
	var ports []port
	release = func() {
		for _, p := range ports {
			p.release()
		}
	}
	for range n {
		p, err := reservePort()
		if err != nil {
			release()
			return nil, nil, err
		}
		ports, addrs = append(ports, p), append(addrs, p.addr())
	}
	return addrs, release, nil
}
