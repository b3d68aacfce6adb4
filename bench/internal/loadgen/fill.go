package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"samaritan/internal/testredis"
)

// fillWindow is how many bytes of values Fill sends before it reads replies.
const fillWindow = 64 << 10

// Fill writes keys prefix000000000000 to number keys-1, each with value,
// through addr.
func Fill(addr, prefix, value string, keys int) error {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	batch := max(1, fillWindow/(len(value)+64))
	for first := 0; first < keys; first += batch {
		if err := fillBatch(conn, prefix, value, first, min(first+batch, keys)); err != nil {
			return fmt.Errorf("fill %s: %w", addr, err)
		}
	}
	return nil
}

// fillBatch writes the keys from number first up to end in one pipeline.
func fillBatch(conn *testredis.Conn, prefix, value string, first, end int) error {
	var cmds [][]any
	for n := first; n < end; n++ {
		cmds = append(cmds, []any{"SET", prefix + keyNumber(n), value})
	}
	if err := conn.Send(cmds...); err != nil {
		return err
	}
	for range cmds {
		if _, err := conn.Receive(); err != nil {
			return err
		}
	}
	return nil
}

var errProbe = errors.New("not the expected reply")

// Probe runs the load's command once for the first and the last key number, and
// checks the replies: no error, and no missing key.
func Probe(addr string, l Load) error {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, n := range []int{0, l.Keys - 1} {
		reply, err := conn.Do(l.command(n)...)
		if err == nil && missing(reply) {
			err = fmt.Errorf("%w: a key is missing", errProbe)
		}
		if err != nil {
			return fmt.Errorf("probe %s with %s: %w", addr, strings.ToUpper(l.Command[0]), err)
		}
	}
	return nil
}

// missing reports whether a reply is, or has, a null.
func missing(reply any) bool {
	items, ok := reply.([]any)
	return reply == nil || ok && slices.Contains(items, nil)
}
