package chaos

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// peerTimeout bounds every read of the tests.
const peerTimeout = 5 * time.Second

// echoServer answers each piece it reads with the same bytes, and counts them.
func echoServer(t *testing.T) (addr string, received *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	received = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() { _, _ = io.Copy(c, io.TeeReader(c, counter{received})); c.Close() }()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), received
}

// counter is a writer that counts.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// newRelay is NewRelay for a test.
func newRelay(t *testing.T, target string) *Relay {
	t.Helper()
	r, err := NewRelay(target)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// dialFrom connects to a relay, from a source address when that is not empty.
func dialFrom(t *testing.T, source, addr string) net.Conn {
	t.Helper()
	c, err := tryFrom(t, source, addr)
	require.NoError(t, err)
	return c
}

// tryFrom is dialFrom without a check.
func tryFrom(t *testing.T, source, addr string) (net.Conn, error) {
	t.Helper()
	var d net.Dialer
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c, c.SetDeadline(time.Now().Add(peerTimeout))
}

// resetAtOnce requires that a connection is reset as soon as it is made.
func resetAtOnce(t *testing.T, source, addr string) {
	t.Helper()
	c, err := tryFrom(t, source, addr)
	if err == nil { // The reset may come before or after Dial looks.
		_, err = readAll(c)
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// roundTrip sends text and wants it back.
func roundTrip(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// readAll reads until the end, and returns what ended it; nil for EOF.
func readAll(c net.Conn) ([]byte, error) { return io.ReadAll(c) }

// quiet requires that nothing comes from c for a moment.
func quiet(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(peerTimeout)))
}

// wireless waits until no connection is left.
func wireless(t *testing.T, r *Relay) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Live() == 0 }, peerTimeout, time.Millisecond)
}

func TestRelayForwards(t *testing.T) {
	addr, received := echoServer(t)
	r := newRelay(t, addr)
	c := dialFrom(t, "", r.Addr())
	roundTrip(t, c, "hello")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, err := c.Write(big)
		assert.NoError(t, err)
		assert.NoError(t, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := readAll(c)
	require.NoError(t, err, "a half-close goes through, and what is under way arrives")
	require.True(t, bytes.Equal(big, got))
	require.EqualValues(t, 5+len(big), received.Load())
	wireless(t, r)
}

func TestRelayFollowsItsTarget(t *testing.T) {
	r := newRelay(t, "127.0.0.1:1") // Nobody is there.
	resetAtOnce(t, "", r.Addr())
	addr, _ := echoServer(t)
	r.SetTarget(addr)
	roundTrip(t, dialFrom(t, "", r.Addr()), "hello")
}

func TestCutReplyIsHalfAReplyAndAReset(t *testing.T) {
	addr, received := echoServer(t)
	r := newRelay(t, addr)
	text := "$5\r\nhello\r\n"
	random := rand.New(rand.NewPCG(1, 2))
	lengths := map[int]bool{}
	for range 50 {
		c := dialFrom(t, "", r.Addr())
		roundTrip(t, c, text)
		r.CutMidReply(random)
		before := received.Load()
		_, err := io.WriteString(c, text)
		require.NoError(t, err)
		got, err := readAll(c)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Less(t, len(got), len(text))
		require.Equal(t, text[:len(got)], string(got))
		require.EqualValues(t, len(text), received.Load()-before, "the request has arrived")
		lengths[len(got)] = true
		roundTrip(t, dialFrom(t, "", r.Addr()), text) // New ones are whole.
	}
	assert.Greater(t, len(lengths), 3)
}

func TestCutIsNeverBetweenReplies(t *testing.T) {
	chunk := []byte("+OK\r\n:1\r\n")
	for bits := range uint64(100) {
		n := cutAt(chunk, bits)
		require.Less(t, n, len(chunk))
		require.False(t, n > 0 && chunk[n-1] == '\n', n)
	}
	require.Zero(t, cutAt([]byte("x"), 99))
}

func TestResetEndsWhatIsOpen(t *testing.T) {
	addr, _ := echoServer(t)
	r := newRelay(t, addr)
	var open []net.Conn
	for range 10 {
		c := dialFrom(t, "", r.Addr())
		roundTrip(t, c, "hello")
		open = append(open, c)
	}
	r.Reset()
	for _, c := range open {
		_, err := readAll(c)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	wireless(t, r)
	roundTrip(t, dialFrom(t, "", r.Addr()), "hello")
}

func TestHangIsABlackHole(t *testing.T) {
	addr, received := echoServer(t)
	r := newRelay(t, addr)
	stays, leaves := dialFrom(t, "", r.Addr()), dialFrom(t, "", r.Addr())
	roundTrip(t, stays, "a")
	roundTrip(t, leaves, "b")
	r.Hang()
	r.Hang() // Nothing happens.
	fresh := dialFrom(t, "", r.Addr())
	for _, c := range []net.Conn{stays, leaves, fresh} {
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
	}
	quiet(t, stays)
	quiet(t, fresh)
	require.NoError(t, leaves.Close())
	require.EqualValues(t, 2, received.Load())

	require.NoError(t, r.Restore())
	for _, c := range []net.Conn{stays, fresh} {
		got := make([]byte, 1)
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		roundTrip(t, c, "y")
	}
	require.EqualValues(t, 6, received.Load(), "what the one that left had sent is dropped")
	require.Eventually(t, func() bool { return r.Live() == 2 }, peerTimeout, time.Millisecond)
}

func TestRefuseKeepsThePort(t *testing.T) {
	addr, _ := echoServer(t)
	r := newRelay(t, addr)
	c := dialFrom(t, "", r.Addr())
	roundTrip(t, c, "a")
	for range 3 {
		r.Refuse()
		_, err := net.DialTimeout("tcp", r.Addr(), peerTimeout)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		roundTrip(t, c, "b") // Open ones live on.
		require.NoError(t, r.Restore())
		roundTrip(t, dialFrom(t, "", r.Addr()), "c")
	}
}

func TestDelayHoldsReplies(t *testing.T) {
	addr, _ := echoServer(t)
	r := newRelay(t, addr)
	c := dialFrom(t, "", r.Addr())
	r.Delay(30 * time.Millisecond)
	began := time.Now()
	roundTrip(t, c, "a")
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
	r.Delay(time.Hour) // Close ends it.
	_, err := io.WriteString(c, "b")
	require.NoError(t, err)
	quiet(t, c)
	require.NoError(t, r.Close())
}

func TestMangleAnswersClusterCommandsAlone(t *testing.T) {
	addr, received := echoServer(t)
	r := newRelay(t, addr)
	const slots, get = "*2\r\n$7\r\ncluster\r\n$5\r\nSLOTS\r\n", "*2\r\n$3\r\nGET\r\n$7\r\nCLUSTER\r\n"
	r.Mangle(func(request []byte) (Answer, bool) {
		switch {
		case bytes.Contains(request, []byte("SLOTS")):
			return Answer{Reply: []byte("garbage")}, true
		case bytes.Contains(request, []byte("NODES")):
			return Answer{Reply: []byte("$1000\r\nhalf"), Close: true}, true
		}
		return Answer{}, false
	})
	data := dialFrom(t, "", r.Addr())
	roundTrip(t, data, get)
	roundTrip(t, data, slots) // Not a connection that began with CLUSTER.
	received.Store(0)

	topology := dialFrom(t, "", r.Addr())
	for range 2 {
		_, err := io.WriteString(topology, slots)
		require.NoError(t, err)
		got := make([]byte, 7)
		_, err = io.ReadFull(topology, got)
		require.NoError(t, err)
		require.Equal(t, "garbage", string(got))
	}
	require.Zero(t, received.Load())
	roundTrip(t, topology, "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n")
	_, err := io.WriteString(topology, "*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n")
	require.NoError(t, err)
	got, err := readAll(topology)
	require.Equal(t, "$1000\r\nhalf", string(got))
	require.ErrorIs(t, err, syscall.ECONNRESET)

	require.NoError(t, r.Restore())
	roundTrip(t, dialFrom(t, "", r.Addr()), slots)
}

func TestLinksOfReplicasAreExempt(t *testing.T) {
	addr, _ := echoServer(t)
	r := newRelay(t, addr)
	link := dialFrom(t, LinkSource, r.Addr())
	roundTrip(t, link, "a")
	r.Delay(time.Hour)
	r.Hang()
	r.Reset()
	r.CutMidReply(rand.New(rand.NewPCG(1, 2)))
	roundTrip(t, link, "b")
	require.NoError(t, r.Restore())

	r.Sever()
	_, err := readAll(link)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	resetAtOnce(t, LinkSource, r.Addr())
	roundTrip(t, dialFrom(t, "", r.Addr()), "c")
	require.NoError(t, r.Restore())
	roundTrip(t, dialFrom(t, LinkSource, r.Addr()), "d")
}

func TestClosedRelayIsGone(t *testing.T) {
	addr, _ := echoServer(t)
	r := newRelay(t, addr)
	r.Hang()
	c := dialFrom(t, "", r.Addr())
	require.Eventually(t, func() bool { return r.Live() == 1 }, peerTimeout, time.Millisecond)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err := readAll(c)
	require.Error(t, err)
	_, err = net.DialTimeout("tcp", r.Addr(), peerTimeout)
	require.True(t, errors.Is(err, syscall.ECONNREFUSED), err)
}

// BenchmarkRelay shows that the relay is not what limits a test.
func BenchmarkRelay(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	r, err := NewRelay(l.Addr().String())
	require.NoError(b, err)
	defer r.Close()
	c, err := net.Dial("tcp", r.Addr())
	require.NoError(b, err)
	defer c.Close()
	buf := make([]byte, 100)
	for b.Loop() {
		_, err := c.Write(buf)
		require.NoError(b, err)
		_, err = io.ReadFull(c, buf)
		require.NoError(b, err)
	}
}
