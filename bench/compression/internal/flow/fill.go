package flow

import (
	"context"
	"fmt"

	"samaritan/internal/testredis"
)

// Fill stores values under their keys, through addr.
func Fill(ctx context.Context, addr string, keys []string, values [][]byte) error {
	return each(ctx, addr, len(keys), func(i int) []any { return []any{"SET", keys[i], values[i]} }, func(i int, reply any) error {
		if reply != "OK" {
			return fmt.Errorf("%w: SET %s: %v", ErrReply, keys[i], reply)
		}
		return nil
	})
}

// Check reads all values back through addr and compares them.
func Check(ctx context.Context, addr string, keys []string, values [][]byte) error {
	return each(ctx, addr, len(keys), func(i int) []any { return []any{"GET", keys[i]} }, func(i int, reply any) error {
		if reply != string(values[i]) {
			return fmt.Errorf("%w: GET %s: not what was stored", ErrReply, keys[i])
		}
		return nil
	})
}

// window is how many requests are sent before their replies are read.
const window = 4

// each sends n requests, some at a time.
func each(ctx context.Context, addr string, n int, request func(i int) []any, check func(i int, reply any) error) error {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for first := 0; first < n && ctx.Err() == nil; first += window {
		end := min(first+window, n)
		var requests [][]any
		for i := first; i < end; i++ {
			requests = append(requests, request(i))
		}
		if err := conn.Send(requests...); err != nil {
			return err
		}
		for i := first; i < end; i++ {
			reply, err := conn.Receive()
			if err == nil {
				err = check(i, reply)
			}
			if err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}
