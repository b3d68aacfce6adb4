package testredis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Limits of the reply parser. The peer is a Redis server or the code under
// test, which may well be wrong.
const (
	maxBulk  = 512 << 20 // bytes, Redis' own limit of a string
	maxItems = 1 << 20   // elements of one aggregate
	maxDepth = 32        // nested aggregates
)

// ioTimeout bounds each Do, Send and Receive of a [Conn]. It leaves room for
// blocking commands and for a machine that is busy.
const ioTimeout = 10 * time.Second

// errSyntax says that the peer sent something that is not RESP.
var errSyntax = errors.New("testredis: malformed reply")

// Error is an error reply, such as "MOVED 3999 127.0.0.1:7001". The connection
// is still in sync after it. All other errors mean that the connection has to
// be closed.
type Error string

// Error returns the text of the reply, without the leading dash.
func (e Error) Error() string { return string(e) }

// Conn is a minimal client connection for tests. It starts in RESP2, and reads
// RESP3 too, after HELLO 3. It is not safe for concurrent use.
type Conn struct {
	nc  net.Conn
	r   *bufio.Reader
	out []byte
}

// Dial connects to addr, "host:port", within 2 s.
func Dial(addr string) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return NewConn(nc), nil
}

// NewConn makes one of a connection, which belongs to it from now on.
func NewConn(nc net.Conn) *Conn { return &Conn{nc: nc, r: bufio.NewReader(nc)} }

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Do sends one command and returns its reply, within 10 s.
//
// Arguments are sent as they are when they are strings or byte slices, as
// fmt.Sprint prints them otherwise. A reply is a string (simple, bulk, verbatim
// or big number), int64, float64, bool, nil, or []any (array, set, push, and map as
// key, value, key, value). An error reply is returned as an [Error]; inside of
// an array it is an element of that type.
func (c *Conn) Do(args ...any) (any, error) {
	if err := c.Send(args); err != nil {
		return nil, err
	}
	return c.Receive()
}

// Send writes commands in one piece and reads nothing. Each command owes one
// Receive.
func (c *Conn) Send(cmds ...[]any) error {
	c.out = c.out[:0]
	for _, args := range cmds {
		c.out = appendCommand(c.out, args)
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := c.nc.Write(c.out)
	return err
}

// Receive reads the next reply. For the types see [Conn.Do].
func (c *Conn) Receive() (any, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	v, err := readReply(c.r, maxDepth)
	if err != nil {
		return nil, err
	}
	if e, ok := v.(Error); ok {
		return nil, e
	}
	return v, nil
}

// pipeline sends the commands in one write and reads all replies. An error
// reply is an element of type [Error].
func (c *Conn) pipeline(cmds [][]any) ([]any, error) {
	if err := c.Send(cmds...); err != nil {
		return nil, err
	}
	replies := make([]any, len(cmds))
	for i := range cmds {
		v, err := c.Receive()
		if e, ok := err.(Error); ok {
			v, err = e, nil
		}
		if err != nil {
			return nil, err
		}
		replies[i] = v
	}
	return replies, nil
}

// appendCommand appends args as an array of bulk strings.
func appendCommand(dst []byte, args []any) []byte {
	dst = fmt.Appendf(dst, "*%d\r\n", len(args))
	for _, arg := range args {
		var s string
		switch arg := arg.(type) {
		case string:
			s = arg
		case []byte:
			s = string(arg)
		default:
			s = fmt.Sprint(arg)
		}
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(s), s)
	}
	return dst
}

// readReply reads one RESP2 or RESP3 reply with at most depth nested
// aggregates. Error replies are returned as values.
func readReply(r *bufio.Reader, depth int) (any, error) {
	kind, text, err := readLine(r)
	if err != nil {
		return nil, err
	}
	switch kind {
	case '+', '(':
		return text, nil
	case '-':
		return Error(text), nil
	case ':':
		return number(strconv.ParseInt(text, 10, 64))
	case ',':
		return number(strconv.ParseFloat(text, 64))
	case '#':
		return text == "t", nil
	case '_':
		return nil, nil
	case '$', '=', '!':
		return readBulk(r, kind, text)
	case '*', '~', '>':
		return readItems(r, text, 1, depth)
	case '%':
		return readItems(r, text, 2, depth)
	case '|': // Attributes come before the reply they belong to: drop them.
		if _, err := readItems(r, text, 2, depth); err != nil {
			return nil, err
		}
		return readReply(r, depth-1)
	}
	return nil, fmt.Errorf("%w: type %q", errSyntax, kind)
}

// number returns v, or a syntax error.
func number[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSyntax, err)
	}
	return v, nil
}

// readLine reads the first line of a reply and splits off the type byte.
func readLine(r *bufio.Reader) (kind byte, text string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, "", fmt.Errorf("%w: line %q", errSyntax, line)
	}
	return line[0], line[1 : len(line)-2], nil
}

// readLength parses the length in a header; -1 is the null of RESP2.
func readLength(text string, limit int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > limit {
		return 0, fmt.Errorf("%w: length %q", errSyntax, text)
	}
	return n, nil
}

// readBulk reads what follows the header of a bulk string, a verbatim string
// or a bulk error.
func readBulk(r *bufio.Reader, kind byte, header string) (any, error) {
	n, err := readLength(header, maxBulk)
	if err != nil || n < 0 {
		return nil, err
	}
	var body []byte // Grows with what arrives, not with what is announced.
	for len(body) < n+2 {
		start := len(body)
		body = append(body, make([]byte, min(n+2-start, 64<<10))...)
		if _, err := io.ReadFull(r, body[start:]); err != nil {
			return nil, err
		}
	}
	if string(body[n:]) != "\r\n" {
		return nil, fmt.Errorf("%w: no CRLF after a bulk string", errSyntax)
	}
	text := string(body[:n])
	switch {
	case kind == '!':
		return Error(text), nil
	case kind == '=' && n >= 4: // "txt:" or "mkd:"
		return text[4:], nil
	}
	return text, nil
}

// readItems reads the per*n elements that follow an aggregate's header.
func readItems(r *bufio.Reader, header string, per, depth int) (any, error) {
	n, err := readLength(header, maxItems)
	if err != nil || n < 0 {
		return nil, err
	}
	if depth == 0 {
		return nil, fmt.Errorf("%w: nested too deeply", errSyntax)
	}
	items := make([]any, 0, min(n*per, 1024))
	for range n * per {
		v, err := readReply(r, depth-1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, nil
}
