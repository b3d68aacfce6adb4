package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"samaritan/internal/testredis"
)

// Sizes of the values of bad clients, in bytes.
const (
	largeValue = 4 << 20
	hugeValue  = 64 << 20
)

// clientFaults are clients that are hard on the proxy, and on the others.
func clientFaults() []Fault {
	return []Fault{
		{Name: "client-deaf", Inflict: deaf, Help: "A client asks 200 times for a value of 4 MiB and reads none of the replies."},
		{Name: "client-huge", Inflict: huge, Help: "A client reads a value of 64 MiB again and again."},
	}
}

// deaf asks for much and reads nothing.
func deaf(ctx context.Context, e *Env) error {
	return withValue(e, largeValue, func(key string) error {
		conn, err := net.Dial("tcp", e.Daemon.Addr())
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, strings.Repeat(getCommand(key), 200)); err != nil {
			return err
		}
		return e.Wait(ctx, 1500*time.Millisecond)
	})
}

// huge reads a huge value as fast as it can.
func huge(ctx context.Context, e *Env) error {
	return withValue(e, hugeValue, func(key string) error {
		conn, err := net.Dial("tcp", e.Daemon.Addr())
		if err != nil {
			return err
		}
		defer conn.Close()
		r := bufio.NewReaderSize(conn, wireBuffer)
		return e.until(ctx, 1500*time.Millisecond, func() error { return readValue(conn, r, key, hugeValue) })
	})
}

// readValue gets a value and checks its size.
func readValue(conn net.Conn, r *bufio.Reader, key string, size int) error {
	if err := conn.SetDeadline(time.Now().Add(changeLimit)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, getCommand(key)); err != nil {
		return err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if line != fmt.Sprintf("$%d\r\n", size) {
		return fmt.Errorf("chaos: a value of %d bytes: %q", size, line)
	}
	_, err = io.CopyN(io.Discard, r, int64(size)+2)
	return err
}

// getCommand returns GET key as RESP.
func getCommand(key string) string {
	return fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key)
}

// withValue makes a value of so many zero bytes in a shard, and removes it after do.
func withValue(e *Env, size int, do func(key string) error) error {
	shard := e.shard()
	n, err := e.Cluster.Owner(shard)
	if err != nil {
		return err
	}
	key := keyOf(ShardSlots(shard)[0])
	// SETRANGE takes little room in the append-only file.
	if _, err := n.Do("SETRANGE", key, size-1, "\x00"); err != nil {
		return err
	}
	err = do(key)
	_, err2 := n.Do("UNLINK", key)
	return errors.Join(err, err2, e.Cluster.Whole())
}

// keyOf returns a key of a slot, which the load does not use.
func keyOf(slot uint16) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("bad-client-%d", i); testredis.Slot(key) == slot {
			return key
		}
	}
}
