package tcp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWithoutDescriptors: clients that cannot be served are told so, the others do not
// notice, nothing spins, and all is well again when there are descriptors.
func TestWithoutDescriptors(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	old := p.dial()
	exchange(t, old, "hello")
	sockets := make([]int, 8) // of clients to come
	for i := range sockets {
		var e syscall.Errno
		sockets[i], e = sysSocket(syscall.AF_INET)
		require.Zero(t, e)
	}
	var had syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had))
	few := had
	few.Cur = 200
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	var taken []int
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	require.NotEmpty(t, taken)
	used := processCPU(t)
	to := newSockaddr(netip.MustParseAddrPort(p.addr))
	for _, fd := range sockets[:4] {
		_ = sysConnect(fd, to)
	}
	begin := time.Now()
	for time.Since(begin) < time.Second {
		exchange(t, old, "still here")
		pass(50 * time.Millisecond)
	}
	busy := processCPU(t) - used
	p.becomes("downstream.cx_restricted", 4)
	sysClose(taken[0]) // one for the client, none for the server
	for _, fd := range sockets[4:] {
		_ = sysConnect(fd, to)
	}
	p.becomes("upstream.unreachable", 4)
	for _, fd := range taken[1:] {
		sysClose(fd)
	}
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had))
	for _, fd := range sockets {
		sysClose(fd)
	}
	assert.Less(t, busy, 500*time.Millisecond)
	exchange(t, old, "hello")
	eventually(t, func() bool {
		c, err := net.Dial("tcp", p.addr)
		require.NoError(t, err)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		return tryExchange(c, "hello") == nil
	}, "clients are served again")
	require.NoError(t, old.Close())
	p.becomes("downstream.cx_active", 0)
	p.becomes("upstream.cx_active", 0)
	eventually(t, func() bool { return p.listener.Active() == 0 }, "the listener counts none")
	for _, ep := range p.set.all() {
		assert.Zero(t, ep.load.Load())
	}
}

// processCPU is the CPU time of this process.
func processCPU(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
