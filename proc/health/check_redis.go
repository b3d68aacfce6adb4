package health

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxRedisLine bounds the line of a reply, its end included.
const maxRedisLine = 4096

// errTooLong says that a line goes on and on.
var errTooLong = errors.New("the reply's line is longer than 4096 bytes")

// redisChecker sends PING, after AUTH when there is a password, and takes +PONG for an
// answer. Every error is a failure: NOAUTH, LOADING and MASTERDOWN too, as such a node
// would answer a client no better.
//
// The format is that of the page "Redis serialization protocol specification".
type redisChecker struct {
	dial     dialFunc
	request  []byte // AUTH and PING in one piece
	password string // "" for no AUTH
}

func newRedisChecker(dial dialFunc, username, password string) redisChecker {
	k := redisChecker{dial: dial, password: password}
	switch {
	case password == "":
	case username == "":
		k.request = appendCommand(k.request, "AUTH", password)
	default:
		k.request = appendCommand(k.request, "AUTH", username, password)
	}
	k.request = appendCommand(k.request, "PING")
	return k
}

// appendCommand appends a command as an array of bulk strings.
func appendCommand(dst []byte, args ...string) []byte {
	dst = append(strconv.AppendInt(append(dst, '*'), int64(len(args)), 10), "\r\n"...)
	for _, arg := range args {
		dst = append(strconv.AppendInt(append(dst, '$'), int64(len(arg)), 10), "\r\n"...)
		dst = append(append(dst, arg...), "\r\n"...)
	}
	return dst
}

// Check implements [Checker].
func (k redisChecker) Check(ctx context.Context, address string) error {
	c, err := dialConn(ctx, k.dial, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(k.request); err != nil {
		return fmt.Errorf("send PING: %w", err)
	}
	replies := bufio.NewReaderSize(c, maxRedisLine)
	if k.password != "" {
		if err := k.answer(replies, "OK"); err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
	}
	if err := k.answer(replies, "PONG"); err != nil {
		return fmt.Errorf("PING: %w", err)
	}
	return nil
}

// answer reads one reply and returns nil when it is the simple string want.
func (k redisChecker) answer(r *bufio.Reader, want string) error {
	line, err := readLine(r)
	switch {
	case err != nil:
		return fmt.Errorf("read the reply: %w", err)
	case string(line) == "+"+want:
		return nil
	case bytes.HasPrefix(line, []byte("-")):
		return errors.New(k.withoutPassword(line[1:]))
	case quotes(line, k.password, nil):
		return errors.New("an unexpected reply, which seems to have the password in it")
	}
	return fmt.Errorf("unexpected reply %s", shown(line))
}

// withoutPassword returns the text of an error reply: only its first word when there
// may be the password in the rest, as Redis shows the arguments of a command that it
// does not know.
func (k redisChecker) withoutPassword(text []byte) string {
	if !quotes(text, k.password, nil) {
		return clean(text)
	}
	code, _, _ := bytes.Cut(text, []byte(" "))
	if quotes(code, k.password, nil) {
		code = []byte("an error")
	}
	return clean(code) + " (the text is withheld: it seems to have the password in it)"
}

// readLine reads a line and returns it without its end, which is LF or CR LF. The line
// is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errTooLong
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}
