package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/api/hc"
	"samaritan/internal/testredis"
)

// checkTimeout is that of checks of scripted servers.
const checkTimeout = 3 * time.Second

// talk makes one check of a server that does what a script says, within a bubble, and
// returns how long it took and the result. The server reads all that it is sent and
// ends the connection with the script.
func talk(t *testing.T, check *hc.HealthCheck, script func(net.Conn)) (took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		here, there := bufferedPipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer there.Close()
			script(there)
		}()
		k, newErr := newChecker(check, func(context.Context, string, string) (net.Conn, error) { return here, nil })
		require.NoError(t, newErr)
		ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
		defer cancel()
		start := time.Now()
		err = k.Check(ctx, addrA)
		took = time.Since(start)
		_, closed := here.Write([]byte{0})
		require.ErrorIs(t, closed, io.ErrClosedPipe, "the checker closes the connection")
		<-done
	})
	return took, err
}

// bufferedPipe is a net.Pipe whose far end takes what is written to the near one at
// once, as a socket does.
func bufferedPipe() (near, far net.Conn) {
	near, middle := net.Pipe()
	e := &farEnd{Conn: middle, came: make(chan []byte, 64)}
	go func() {
		defer close(e.came)
		_, _ = io.Copy(chunks(e.came), middle)
	}()
	return near, e
}

// chunks is a channel that can be written to.
type chunks chan<- []byte

func (c chunks) Write(p []byte) (int, error) {
	c <- slices.Clone(p)
	return len(p), nil
}

// farEnd reads what has come.
type farEnd struct {
	net.Conn
	came chan []byte // closed at the end
	rest []byte
}

func (e *farEnd) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = <-e.came
	}
	if len(e.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// say returns a script that says something, whatever it hears, and waits for the end.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}
}

// sayAndClose returns a script that says something and ends the connection.
func sayAndClose(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// drip returns a script that says something, one byte a second.
func drip(text string) func(net.Conn) {
	return func(c net.Conn) {
		for i := range len(text) {
			time.Sleep(time.Second) // house: only called within a bubble
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
		}
	}
}

// allChecks has one check of each kind that waits for an answer.
func allChecks() map[string]*hc.HealthCheck {
	return map[string]*hc.HealthCheck{
		"atcp":           atcp(step{"hello\r\n", "welcome\r\n"}),
		"redis":          redisCheck("", ""),
		"redis, AUTH":    redisCheck("user", "opensesame"),
		"mysql":          mysqlCheck(""),
		"mysql, a login": mysqlCheck("checker"),
	}
}

func TestServerThatMisbehavesFailsEveryCheck(t *testing.T) {
	for name, script := range map[string]struct {
		do   func(net.Conn)
		took time.Duration
		want string
	}{
		"silent":                  {say(""), checkTimeout, "i/o timeout"},
		"slow drip":               {drip("+PONG\r\n"), checkTimeout, ""},
		"closes at once":          {sayAndClose(""), 0, ""},
		"garbage":                 {say(strings.Repeat("\x00garbage\xff\n", 200)), 0, ""},
		"web server":              {say("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), 0, ""},
		"more than anybody needs": {say(strings.Repeat("x", 1<<20)), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, check := range allChecks() {
				took, err := talk(t, check, script.do)
				require.ErrorContains(t, err, script.want, kind)
				require.NotContains(t, err.Error(), "opensesame")
				require.Less(t, len(err.Error()), 1000)
				if name != "slow drip" { // some see at the first byte that it is wrong
					require.Equal(t, script.took, took, kind)
				}
			}
		})
	}
}

func TestRefusedConnectionFailsEveryCheck(t *testing.T) {
	for kind, check := range allChecks() {
		k, err := NewChecker(check)
		require.NoError(t, err)
		require.ErrorContains(t, k.Check(t.Context(), testredis.FreeAddress(t)), "connection refused", kind)
	}
}

// TestCheckOfARealSocketEndsWithItsContext has a server that accepts and says nothing,
// and one that resets the connection.
func TestCheckOfARealSocketEndsWithItsContext(t *testing.T) {
	for kind, check := range allChecks() {
		k, err := NewChecker(check)
		require.NoError(t, err)
		silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		require.ErrorContains(t, k.Check(ctx, silent), "timeout", kind)
		cancel()

		ctx, cancel = context.WithCancel(t.Context())
		heard := make(chan struct{})
		slow := listen(t, func(c net.Conn) { close(heard); _, _ = io.Copy(io.Discard, c) })
		go func() { <-heard; cancel() }()
		require.Error(t, k.Check(ctx, slow), kind)

		resets := listen(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
		require.Error(t, k.Check(t.Context(), resets), kind)
	}
}

func TestTCPCheckPassesWhenItIsConnected(t *testing.T) {
	k, err := NewChecker(&hc.HealthCheck{})
	require.NoError(t, err)
	ended := make(chan error, 1)
	address := listen(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	require.NoError(t, k.Check(t.Context(), address))
	require.Equal(t, io.EOF, <-ended, "a clean end, without a reset")
	require.ErrorContains(t, k.Check(t.Context(), testredis.FreeAddress(t)), "connection refused")
}

func TestCheckersThatCannotBeMade(t *testing.T) {
	_, err := NewChecker(nil)
	require.Error(t, err)
	_, err = NewChecker(mysqlCheck("a\x00b"))
	require.Error(t, err)
}

// listen runs a script for each connection to the address that it returns.
func listen(t *testing.T, script func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			script(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

type step struct{ send, expect string }

func atcp(steps ...step) *hc.HealthCheck {
	k := &hc.ATCPChecker{}
	for _, s := range steps {
		k.Action = append(k.Action, &hc.ATCPChecker_Action{Send: []byte(s.send), Expect: []byte(s.expect)})
	}
	return &hc.HealthCheck{Checker: &hc.HealthCheck_AtcpChecker{AtcpChecker: k}}
}

func redisCheck(username, password string) *hc.HealthCheck {
	return &hc.HealthCheck{Checker: &hc.HealthCheck_RedisChecker{
		RedisChecker: &hc.RedisChecker{Username: username, Password: password},
	}}
}

func mysqlCheck(username string) *hc.HealthCheck {
	return &hc.HealthCheck{Checker: &hc.HealthCheck_MysqlChecker{MysqlChecker: &hc.MySQLChecker{Username: username}}}
}

// dialogue returns a script that, in turn, waits for some bytes and says others. What
// is heard instead fails the check by silence.
func dialogue(steps ...step) func(net.Conn) {
	return func(c net.Conn) {
		for _, s := range steps {
			heard := make([]byte, len(s.expect))
			if _, err := io.ReadFull(c, heard); err != nil {
				return
			}
			if string(heard) != s.expect {
				_, _ = fmt.Fprintf(c, "heard %q", heard)
				return
			}
			_, _ = io.WriteString(c, s.send)
		}
		_, _ = io.Copy(io.Discard, c)
	}
}
