package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// stranger is the user of checks without a user name. It is not meant to exist;
	// the name tells whoever finds it in a server's log where it comes from. Old
	// servers take 16 bytes.
	stranger = "samaritan-check"

	// goodbyeTime bounds the goodbye of a check without a user name.
	goodbyeTime = time.Second

	// maxTurns bounds the packets of a login, the server's greeting aside.
	maxTurns = 8
)

// mysqlChecker passes when the server greets and, when there is a user name, lets it
// log in without a password. A login ends with COM_QUIT, so the server counts it as
// one that went well.
//
// Without a user name a good greeting is enough. But it must not end there: MySQL and
// MariaDB count connections that end within the handshake, and after
// max_connect_errors of them (by default 100) they block the client's host, and with
// it the very applications that the check serves; only a login that succeeds sets the
// count to zero. A login that is refused is not counted (seen with MariaDB 10.11).
// So the check tries to log in as somebody who does not exist, and does not mind what
// the answer is. Servers may write a line to their log for each ("Access denied for
// user 'samaritan-check'@..."), as they may for a connection that breaks off. A user
// without password and without rights, made for the check, is better in all respects.
//
// The exchange is described in the MySQL source documentation, page "Connection
// Phase"; the formats are on the pages named in mysql_packet.go.
type mysqlChecker struct {
	dial  dialFunc
	user  string
	login bool // the server has to let the user in
}

func newMySQLChecker(dial dialFunc, username string) (Checker, error) {
	if strings.ContainsRune(username, 0) {
		return nil, errors.New("health: the user name has a NUL in it")
	}
	if username == "" {
		return mysqlChecker{dial, stranger, false}, nil
	}
	return mysqlChecker{dial, username, true}, nil
}

// Check implements [Checker].
func (k mysqlChecker) Check(ctx context.Context, address string) error {
	c, err := dialConn(ctx, k.dial, address)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 1024)
	hello, err := readPacket(r)
	if err != nil {
		return fmt.Errorf("read the greeting: %w", err)
	}
	server, err := parseGreeting(hello.payload)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if k.login {
		return k.logIn(c, r, hello.seq+1, server)
	}
	defer c.hurry(goodbyeTime)()
	err = k.logIn(c, r, hello.seq+1, server)
	// Some servers keep one connection more than they allow, for an administrator, and
	// find out only after the greeting who it is.
	if refused := (*serverError)(nil); errors.As(err, &refused) && refused.code == errTooManyConnections {
		return err
	}
	return nil
}

// logIn logs in without a password, and out again.
func (k mysqlChecker) logIn(c *conn, r *bufio.Reader, seq byte, server greeting) error {
	if server.capabilities&clientProtocol41 == 0 {
		return errors.New("log in: the server does not speak the protocol of MySQL 4.1")
	}
	answer := appendLogin(nil, seq, server, k.user)
	for range maxTurns {
		if answer != nil {
			if _, err := c.Write(answer); err != nil {
				return fmt.Errorf("log in: %w", err)
			}
		}
		p, err := readPacket(r)
		if err != nil {
			return fmt.Errorf("log in: read the answer: %w", err)
		}
		step, err := parseLoginReply(p.payload)
		if err != nil {
			return fmt.Errorf("log in as %q: %w", k.user, err)
		}
		switch step {
		case loginDone:
			_, _ = c.Write(quitPacket) // The server has shown that it works.
			return nil
		case loginSwitch:
			// So mysql_native_password and caching_sha2_password take an empty password.
			answer = appendPacket(nil, p.seq+1, nil)
		case loginMore:
			answer = nil
		}
	}
	return fmt.Errorf("log in: no end of it after %d packets", maxTurns)
}
