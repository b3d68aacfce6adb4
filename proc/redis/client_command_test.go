package redis

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestClientTellsItsLibrary(t *testing.T) {
	proxy, _ := localBackend(t)
	out := script(t, proxy, `CLIENT SETINFO lib-name go\sredis
CLIENT SETINFO LIB-VER a\nb
CLIENT SETINFO other x
CLIENT SETINFO LIB-NAME go-redis
CLIENT SETINFO lib-ver 9.1
CLIENT NO-EVICT on
CLIENT NO-TOUCH ON
CLIENT NO-TOUCH x
CLIENT CAPA redirect
CLIENT INFO
RESET
CLIENT INFO`)
	assert.Contains(t, out, "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n"+
		"-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"+
		"-ERR Unrecognized option 'other'\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR syntax error\r\n+OK\r\n")
	assert.Contains(t, out, " flags=eT ")
	assert.Contains(t, out, " flags=N ")
	assert.Contains(t, out, " lib-name=go-redis lib-ver=9.1\n")
}

func TestSocketAddress(t *testing.T) {
	four := netip.MustParseAddr("10.1.2.3")
	six := netip.MustParseAddr("fd00::1")
	tests := []struct {
		sa   syscall.Sockaddr
		want string
	}{
		{&syscall.SockaddrInet4{Addr: four.As4(), Port: 80}, "10.1.2.3:80"},
		{&syscall.SockaddrInet6{Addr: four.As16(), Port: 80}, "10.1.2.3:80"},
		{&syscall.SockaddrInet6{Addr: six.As16(), Port: 80}, "[fd00::1]:80"},
		{&syscall.SockaddrUnix{Name: "/run/a.sock"}, "/run/a.sock:0"},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, addressOf(tt.sa, nil).String())
	}
	assert.Equal(t, ":0", addressOf(nil, syscall.EBADF).String())
}
