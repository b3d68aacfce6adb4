package tcp

import (
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestIdleConnectionsTakeLittleMemory opens as many as the limit of descriptors allows,
// 10,000 at most. The clients are plain descriptors and the servers are a backlog, so what
// grows is the proxy's.
func TestIdleConnectionsTakeLittleMemory(t *testing.T) {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	n := min(10000, (int(limit.Cur)-200)/3)
	var servers []string
	for range n/2000 + 1 { // a backlog takes 4096
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { ln.Close() })
		servers = append(servers, ln.Addr().String())
	}
	p := run(t, all(servers...), policy(leastConn))
	p.becomes("downstream.cx_active", 0)
	to := newSockaddr(netip.MustParseAddrPort(p.addr))
	heap, goroutines := inUse()
	for i := range n {
		fd, e := sysSocket(to.family)
		require.Zero(t, e)
		t.Cleanup(func() { sysClose(fd) })
		e = sysConnect(fd, to)
		require.True(t, e == 0 || e == syscall.EINPROGRESS, "%v", e)
		if i%500 == 499 {
			p.becomes("upstream.cx_active", float64(i+1))
		}
	}
	p.becomes("upstream.cx_active", float64(n))
	after, more := inUse()
	each := float64(after-heap) / float64(n)
	t.Logf("%d connections: %.0f bytes of heap and stacks each", n, each)
	assert.Less(t, each, 2048.0)
	assert.LessOrEqual(t, more, goroutines+2)
}

// inUse is the memory of heap and stacks, and the number of goroutines.
func inUse() (bytes uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
}
