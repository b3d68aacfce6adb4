package tcp

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noise is a stream of bytes that depends on a seed alone.
func noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// send writes all of r in pieces of random size.
func send(w io.Writer, r io.Reader) error {
	b := make([]byte, 200<<10)
	for {
		n, err := io.ReadFull(r, b[:1+rand.IntN(len(b))])
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

func digest(r io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d %x", n, h.Sum(nil)), err
}

func TestBytesArriveUnchangedBothWaysAtOnce(t *testing.T) {
	const size = 64 << 20
	up, _ := digest(noise(1, size))
	down, _ := digest(noise(2, size))
	got := make(chan string, 1)
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		defer c.Close()
		var both sync.WaitGroup
		both.Go(func() {
			_ = send(c, noise(2, size))
			_ = c.CloseWrite()
		})
		d, _ := digest(c)
		got <- d
		both.Wait()
	})))
	c := p.dial()
	go func() {
		_ = send(c, noise(1, size))
		_ = c.CloseWrite()
	}()
	d, err := digest(c)
	require.NoError(t, err)
	assert.Equal(t, down, d)
	assert.Equal(t, up, <-got)
	p.becomes("downstream.cx_destroy_total", 1)
	for _, name := range []string{"downstream.cx_rx_bytes_total", "downstream.cx_tx_bytes_total", "upstream.cx_rx_bytes_total", "upstream.cx_tx_bytes_total"} {
		assert.EqualValues(t, size, p.stat(name), name)
	}
	assert.Zero(t, p.stat("downstream.cx_reset")+p.stat("upstream.cx_reset"))
}

// TestSlowReaderHoldsItsSenderBack lets a reader stop in the middle, with splice and
// without, so that both kinds of what is held are resumed.
func TestSlowReaderHoldsItsSenderBack(t *testing.T) {
	for name, size := range map[string]int{"copied": 20 << 10, "spliced": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			const total = 48 << 20
			p := run(t, all(serve(t, func(c *net.TCPConn) {
				defer c.Close()
				all, b := noise(3, total), make([]byte, size)
				for {
					n, err := io.ReadFull(all, b)
					if _, werr := c.Write(b[:n]); err != nil || werr != nil {
						return
					}
				}
			})))
			c := p.dial()
			require.NoError(t, c.SetReadBuffer(64<<10))
			last := float64(-1)
			eventually(t, func() bool {
				pass(50 * time.Millisecond)
				was := last
				last = p.stat("upstream.cx_rx_bytes_total")
				return last > 0 && was == last
			}, "it stops")
			assert.Less(t, last, float64(total)/2, "the sender is held back")
			assert.LessOrEqual(t, last-p.stat("downstream.cx_tx_bytes_total"), float64(pipeBytes), "what is held is bounded")
			want, _ := digest(noise(3, total))
			got, err := digest(c)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestClientEndsItsSideAndStillGetsAnAnswer(t *testing.T) {
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		defer c.Close()
		b, _ := io.ReadAll(c) // until the client has ended
		_, _ = c.Write(bytes.ToUpper(b))
	})))
	c := p.dial()
	_, err := io.WriteString(c, "question")
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "QUESTION", string(b))
}

func TestServerEndsItsSideAndStillGetsMore(t *testing.T) {
	got := make(chan string, 1)
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		defer c.Close()
		_, _ = io.WriteString(c, "all from me")
		_ = c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	})))
	c := p.dial()
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "all from me", string(b))
	pass(20 * time.Millisecond)
	_, err = io.WriteString(c, "and from me")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	assert.Equal(t, "and from me", <-got)
}

func TestClientThatSendsAndEndsAtOnce(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	for range 200 {
		c := p.dial()
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "x", string(b))
		c.Close()
	}
}

func TestResetOfTheClientIsPassedOn(t *testing.T) {
	got := make(chan error, 1)
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		_, err := io.Copy(io.Discard, c)
		got <- err
	})))
	c := p.dial()
	_, err := io.WriteString(c, "the beginning of")
	require.NoError(t, err)
	p.becomes("upstream.cx_tx_bytes_total", 16)
	require.NoError(t, c.SetLinger(0))
	require.NoError(t, c.Close())
	assert.ErrorContains(t, <-got, "connection reset")
	p.becomes("downstream.cx_reset", 1)
	p.becomes("upstream.cx_destroy_total", 1)
}

func TestResetOfTheServerIsPassedOn(t *testing.T) {
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "x")
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
		_ = c.Close()
	})))
	c := p.dial()
	exchangeByte(t, c)
	isReset(t, c)
	p.becomes("upstream.cx_reset", 1)
	p.becomes("downstream.cx_destroy_total", 1)
}

// exchangeByte reads one byte and sends one.
func exchangeByte(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	_, err = c.Write([]byte{1})
	require.NoError(t, err)
}

// TestResetReachesOneWhoIsNotRead is about the side that nothing is read from, as its end
// was seen before or the other side takes nothing.
func TestResetReachesOneWhoIsNotRead(t *testing.T) {
	t.Run("after its end", func(t *testing.T) {
		got := make(chan error, 1)
		p := run(t, all(serve(t, func(c *net.TCPConn) {
			_, _ = io.Copy(io.Discard, c)
			for {
				if _, err := c.Write(make([]byte, 1)); err != nil {
					got <- err
					return
				}
				pass(time.Millisecond)
			}
		})))
		c := p.dial()
		require.NoError(t, c.CloseWrite())
		_, err := io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		assert.Error(t, <-got)
	})
	t.Run("while the other side is slow", func(t *testing.T) {
		p := run(t, all(serve(t, func(c *net.TCPConn) {
			_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, err := io.Copy(c, noise(4, 64<<20))
			assert.Error(t, err)
			_ = c.SetLinger(0)
			_ = c.Close()
		})))
		c := p.dial()
		require.NoError(t, c.SetReadBuffer(4<<10))
		p.becomes("upstream.cx_reset", 1) // although the client reads nothing
		isReset(t, c)
	})
	t.Run("while it stands in line and the other side is slow", func(t *testing.T) {
		reset := make(chan struct{})
		p := run(t, all(serve(t, func(c *net.TCPConn) {
			go func() { _, _ = io.Copy(c, noise(4, 64<<20)) }()
			<-reset
			_ = c.SetLinger(0)
			_ = c.Close()
		})))
		c := p.dial()
		require.NoError(t, c.SetReadBuffer(4<<10))
		l := p.loops.first()
		eventually(t, func() bool {
			isFull := make(chan bool)
			l.post(func() { one := l.open.front; isFull <- one != nil && one.streams[server].held() })
			return <-isFull
		}, "the client takes no more")
		seen := make(chan bool)
		l.post(func() { // as if the turn that filled the client's buffer had ended just there
			one := l.open.front
			one.streams[server].queued = true
			l.again = append(l.again, turn{one, server})
			close(reset)
			seen <- l.takeUpReset(one)
		})
		require.True(t, <-seen)
		p.becomes("upstream.cx_reset", 1)
		isReset(t, c)
	})
}

// TestLastWordsOfAServerArrive: a server may say why it takes no more and be gone at once,
// as MySQL does with a packet that is too large. The loop learns of both together.
func TestLastWordsOfAServerArrive(t *testing.T) {
	for name, c := range map[string]struct {
		before int // what the client sends before
		then   func(*net.TCPConn) error
	}{
		"while a client sends a lot": {64 << 20, func(*net.TCPConn) error { return nil }},
		"while a client sends more":  {0, func(c *net.TCPConn) error { _, err := c.Write(make([]byte, 1)); return err }},
		"while a client ends":        {0, (*net.TCPConn).CloseWrite},
	} {
		t.Run(name, func(t *testing.T) {
			speak, spoken := make(chan struct{}), make(chan struct{})
			p := run(t, all(serve(t, func(c *net.TCPConn) {
				_, _ = io.WriteString(c, "hello")
				<-speak
				_, _ = io.WriteString(c, "too much")
				_ = c.SetLinger(0)
				_ = c.Close()
				close(spoken)
			})))
			cl := p.dial()
			_, err := io.ReadFull(cl, make([]byte, 5))
			require.NoError(t, err)
			var sending sync.WaitGroup
			defer sending.Wait()
			if c.before > 0 {
				sending.Go(func() { _, _ = cl.Write(make([]byte, c.before)) })
				l := p.loops.first()
				eventually(t, func() bool {
					isFull := make(chan bool)
					l.post(func() { isFull <- l.open.front.streams[client].held() })
					return <-isFull
				}, "the server takes no more")
			}
			goOn := p.halt()
			require.NoError(t, c.then(cl))
			close(speak)
			<-spoken
			goOn()
			b := make([]byte, 8)
			_, err = io.ReadFull(cl, b)
			require.NoError(t, err)
			assert.Equal(t, "too much", string(b))
			_, err = cl.Read(b)
			assert.Error(t, err)
			p.becomes("upstream.cx_reset", 1)
		})
	}
}

// takeUpReset waits for the report that the server's side of c has failed, and lets the
// loop take it up.
func (l *loop) takeUpReset(c *conn) bool {
	for begin := time.Now(); time.Since(begin) < patience; {
		n, _ := epollPoll(l.epfd, l.events)
		for _, ev := range l.events[:n] {
			if ev.Fd == c.slot && side(ev.Pad&1) == server && ev.Events&syscall.EPOLLERR != 0 {
				l.ready(c, server, ev.Events)
				return true
			}
		}
	}
	return false
}

func TestHTTPServersAreServed(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			_, _ = w.Write(b)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	p := run(t, all(srv.Listener.Addr().String()))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	cl := &http.Client{Transport: transport, Timeout: patience}
	for range 5 { // over one connection
		for _, do := range []func() (*http.Response, error){
			func() (*http.Response, error) { return cl.Get("http://" + p.addr) },
			func() (*http.Response, error) {
				return cl.Post("http://"+p.addr, "text/plain", strings.NewReader(body))
			},
		} {
			r, err := do()
			require.NoError(t, err)
			b, err := io.ReadAll(r.Body)
			require.NoError(t, errors.Join(err, r.Body.Close()))
			require.True(t, string(b) == body)
		}
	}
	assert.EqualValues(t, 1, p.stat("downstream.cx_total"))
}

func TestManyConnectionsAtOnce(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	var each sync.WaitGroup
	for i := range 100 {
		each.Go(func() {
			for k := range 10 {
				c, err := net.Dial("tcp", p.addr)
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, c.SetDeadline(time.Now().Add(patience)))
				for n := range 5 {
					assert.NoError(t, tryExchange(c, fmt.Sprint(i, k, n)))
				}
				assert.NoError(t, c.Close())
			}
		})
	}
	each.Wait()
	p.becomes("downstream.cx_active", 0)
	p.becomes("upstream.cx_active", 0)
	assert.EqualValues(t, 1000, p.stat("upstream.cx_total"))
	assert.EqualValues(t, 1000, p.stat("upstream.cx_connect_ms"))
	assert.Zero(t, p.stat("downstream.cx_reset"))
}
