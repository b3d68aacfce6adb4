package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addressSpace returns n zero bytes that take memory only where they are written to.
func addressSpace(t *testing.T, n int) []byte {
	t.Helper()
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(b)) })
	return b
}

// redisServer is a real Redis, the reference for everything about requests.
type redisServer struct{ addr string }

// startRedis starts redis-server on a free port of loopback for the length of the test. Without
// redis-server the test fails.
func startRedis(t *testing.T) redisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	require.NoError(t, err, "these tests need redis-server")
	for range 5 { // the port may be gone by the time the server binds it
		port := freePort(t)
		if runRedis(t, path, port) {
			return redisServer{addr: net.JoinHostPort("127.0.0.1", port)}
		}
	}
	t.Fatal("redis-server did not start")
	return redisServer{}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// runRedis starts the server and waits until it says that it is ready, or ends.
func runRedis(t *testing.T, path, port string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", t.TempDir(), "--enable-debug-command", "yes")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop := time.AfterFunc(30*time.Second, cancel)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "Ready to accept connections") {
			continue
		}
		stop.Stop()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, out)
		}()
		t.Cleanup(func() {
			cancel()
			<-drained
			_ = cmd.Wait()
		})
		return true
	}
	stop.Stop()
	cancel()
	_ = cmd.Wait()
	return false
}

// exchange sends input on a connection of its own, then end of stream, and returns all that comes back.
func (r redisServer) exchange(t *testing.T, input []byte) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write(input)
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	replies, err := io.ReadAll(conn)
	require.NoError(t, err, "input %.200q, replies so far %.200q", input, replies)
	return string(replies)
}
