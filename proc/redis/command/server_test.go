package command

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/proc/redis/resp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a connection to a real redis-server that lives as long as the test.
type server struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// startServer runs redis-server behind a unix socket. It fails the test when there is none: without
// the reference these tests say nothing.
func startServer(t testing.TB, extra ...string) *server {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	args := append([]string{
		"--port", "0", "--bind", "127.0.0.1", "--unixsocket", socket, "--dir", dir,
		"--save", "", "--enable-debug-command", "yes", "--enable-module-command", "yes",
	}, extra...)
	cmd := exec.Command("redis-server", args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), "redis-server is needed for this test")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	conn := dial(t, socket)
	t.Cleanup(func() { _ = conn.Close() })
	return &server{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// startNode runs redis-server as a cluster node, which needs TCP ports.
func startNode(t testing.TB) *server {
	t.Helper()
	port, bus := freePorts(t)
	return startServer(t, "--port", port, "--cluster-port", bus,
		"--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
}

func freePorts(t testing.TB) (a, b string) {
	t.Helper()
	var ports [2]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		_, ports[i], err = net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
	}
	return ports[0], ports[1]
}

func dial(t testing.TB, socket string) net.Conn {
	t.Helper()
	var conn net.Conn
	require.Eventually(t, func() bool {
		var err error
		conn, err = net.Dial("unix", socket)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "redis-server does not listen")
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

// serverError is an error reply.
type serverError string

// do sends a command and returns the decoded reply.
func (s *server) do(args ...string) any {
	s.t.Helper()
	v, _ := s.doRaw(args...)
	return v
}

// doRaw returns the reply decoded and as it came.
func (s *server) doRaw(args ...string) (any, string) {
	s.t.Helper()
	_, err := s.conn.Write(resp.AppendCommand(nil, args...))
	require.NoError(s.t, err)
	var raw strings.Builder
	v, err := readReply(s.in, &raw)
	require.NoError(s.t, err)
	return v, raw.String()
}

// readReply decodes aggregates to []any (maps flat), strings to string, integers to int.
func readReply(in *bufio.Reader, raw *strings.Builder) (any, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	raw.WriteString(line)
	text := strings.TrimRight(line[1:], "\r\n")
	n, _ := strconv.Atoi(text)
	switch line[0] {
	case '+':
		return text, nil
	case '-':
		return serverError(text), nil
	case ':':
		return n, nil
	case '_':
		return nil, nil
	case '$':
		return readBulk(in, raw, n)
	case '%':
		n *= 2
	case '*', '~':
	default:
		return nil, fmt.Errorf("unexpected reply %q", line)
	}
	out := make([]any, max(n, 0))
	for i := range out {
		if out[i], err = readReply(in, raw); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readBulk(in *bufio.Reader, raw *strings.Builder, n int) (any, error) {
	if n < 0 {
		return nil, nil
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, err
	}
	raw.Write(b)
	return string(b[:n]), nil
}

// asMap turns a flat list of pairs into a map.
func asMap(v any) map[string]any {
	pairs := v.([]any)
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func asStrings(v any) []string {
	var out []string
	for _, e := range v.([]any) {
		out = append(out, e.(string))
	}
	return out
}

// request builds a frame and its arguments as the parser would.
func request(args ...string) ([]byte, []resp.Arg) {
	frame := resp.AppendArrayHeader(nil, len(args))
	out := make([]resp.Arg, 0, len(args))
	for _, a := range args {
		frame = append(frame, "$"+strconv.Itoa(len(a))+"\r\n"...)
		out = append(out, resp.Arg{Off: uint32(len(frame)), Len: uint32(len(a))})
		frame = append(frame, a+"\r\n"...)
	}
	return frame, out
}
