package tcp

import (
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve runs a server that hands its connections to fn, each on its own goroutine, and
// ends with the test.
func serve(t testing.TB, fn func(*net.TCPConn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serveOn(t, ln, fn)
	return ln.Addr().String()
}

func serveOn(t testing.TB, ln net.Listener, fn func(*net.TCPConn)) {
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go fn(c.(*net.TCPConn))
		}
	}()
}

// echo sends back what comes, and ends when the client does.
func echo(c *net.TCPConn) {
	defer c.Close()
	_, _ = io.Copy(c, c)
}

// named is a server that says its name to whoever connects, and then echoes.
func named(t testing.TB, name string) (address string) {
	return serve(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, name)
		echo(c)
	})
}

// greeting is what a named server has said.
func greeting(t testing.TB, c net.Conn) string {
	t.Helper()
	b := make([]byte, 1)
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	return string(b)
}

// refusing is an address at which nobody listens.
func refusing(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})) // so that nobody else gets it
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*syscall.SockaddrInet4).Port)).String()
}

// silent is an address at which connections are neither made nor refused: its backlog is
// full. open lets them in.
func silent(t testing.TB) (address string, open func(fn func(*net.TCPConn))) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	raw, err := ln.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }))
	require.NoError(t, err)
	address = ln.Addr().String()
	for {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			break // full
		}
		t.Cleanup(func() { c.Close() })
	}
	return address, func(fn func(*net.TCPConn)) {
		require.NoError(t, raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 128) }))
		require.NoError(t, err)
		serveOn(t, ln, fn)
	}
}
