package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// maxShown is how much of the bytes of an endpoint an error shows, and maxText how much
// of what is meant to be read.
const (
	maxShown = 64
	maxText  = 512
)

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// conn is the connection of one check. All that waits on it ends when the context of
// the check does.
type conn struct {
	net.Conn
	stop func() bool   // keeps the context from ending the connection
	cut  chan struct{} // closed when the context has ended it
}

// dialConn connects to the endpoint. The caller has to call Close.
func dialConn(ctx context.Context, dial dialFunc, address string) (*conn, error) {
	nc, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err // It says what was done, and with whom.
	}
	c := &conn{Conn: nc, cut: make(chan struct{})}
	c.stop = context.AfterFunc(ctx, func() {
		defer close(c.cut)
		_ = nc.SetDeadline(longAgo) // Fails only when it is closed already.
	})
	return c, nil
}

// Close closes the connection. No goroutine of it is left then.
func (c *conn) Close() error {
	if !c.stop() {
		<-c.cut
	}
	return c.Conn.Close()
}

// hurry ends all waiting on the connection after d. The caller has to call the
// function that it gets.
func (c *conn) hurry(d time.Duration) (stop func() bool) {
	timer := time.AfterFunc(d, func() { _ = c.SetDeadline(longAgo) })
	return timer.Stop
}

// shown quotes bytes for an error, and not more of them than fit in a line.
func shown(b []byte) string {
	if len(b) > maxShown {
		return fmt.Sprintf("%q and %d more bytes", head(b), len(b)-maxShown)
	}
	return fmt.Sprintf("%q", b)
}

// head is what an error shows of bytes.
func head(b []byte) []byte { return b[:min(len(b), maxShown)] }

// clean makes the text of a server's error fit for a line of a log.
func clean(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(text[:min(len(text), maxText)]), "?"))
}

// early gives the end of a stream, where there should be more, its name.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// quotes reports whether a text may have the secret in it. A server that quotes it may
// have cut or escaped it, so a piece of four bytes counts, unless it is told anyway.
func quotes(text []byte, secret string, told []byte) bool {
	piece := min(len(secret), 4)
	if piece == 0 {
		return false
	}
	for i := range len(secret) - piece + 1 {
		part := []byte(secret[i : i+piece])
		if bytes.Contains(text, part) && !bytes.Contains(told, part) {
			return true
		}
	}
	return false
}
