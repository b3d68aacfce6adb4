package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"samaritan/internal/testredis"
)

// transferScenarios are those in which something is half done.
func transferScenarios() []Scenario {
	return []Scenario{
		{"in the middle of a value of 100 MB", false, halfValue},
		{"in the middle of a burst of 10,000 commands", false, burst},
		{"a client that does not read its replies", false, deafStays},
		{"streams of a TCP service", false, streamsStay},
	}
}

// halfSize is the size of the large value.
const halfSize = 100 << 20

// pattern is the bytes of the large value from an offset on.
func pattern(p []byte, offset int) {
	for i := range p {
		n := offset + i
		p[i] = byte(n ^ n>>8 ^ n>>16)
	}
}

// sendPattern writes a part of the value.
func sendPattern(w io.Writer, from, to int) error {
	buf := make([]byte, 1<<20)
	for from < to {
		n := min(len(buf), to-from)
		pattern(buf[:n], from)
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		from += n
	}
	return nil
}

func halfValue(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer nc.Close()
		conn := testredis.NewConn(nc)
		key := fmt.Sprintf("half:%s", r.addr)
		head := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n", len(key), key, halfSize)
		if _, err := io.WriteString(nc, head); err != nil {
			return err
		}
		if err := sendPattern(nc, 0, halfSize/2); err != nil {
			return err
		}
		if err := r.goodRestart(ctx); err != nil { // so the client has moved
			return err
		}
		if err := sendPattern(nc, halfSize/2, halfSize); err != nil {
			return err
		}
		if _, err := io.WriteString(nc, "\r\n"); err != nil {
			return err
		}
		if v, err := conn.Receive(); err != nil || v != "OK" {
			return fmt.Errorf("restart: SET of the large value: %v %w", v, err)
		}
		return errors.Join(checkPattern(conn, key), delKey(conn, key), r.awaitLost(ctx, 0))
	})
}

// checkPattern reads the value piece by piece.
func checkPattern(conn *testredis.Conn, key string) error {
	if v, err := conn.Do("STRLEN", key); err != nil || v != int64(halfSize) {
		return fmt.Errorf("restart: the large value has %v bytes: %w", v, err)
	}
	const piece = 4 << 20
	want := make([]byte, piece)
	for at := 0; at < halfSize; at += piece {
		v, err := conn.Do("GETRANGE", key, at, at+piece-1)
		if err != nil {
			return err
		}
		if pattern(want, at); v != string(want) {
			return fmt.Errorf("restart: the large value is damaged between %d and %d", at, at+piece)
		}
	}
	return nil
}

func delKey(conn *testredis.Conn, key string) error {
	_, err := conn.Do("DEL", key)
	return err
}

// burstCommands is how many commands are in flight.
const burstCommands = 10000

// burst has so many commands in flight all the time, on two counters by turns, and restarts
// meanwhile.
func burst(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		conn, err := testredis.Dial(r.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		done := make(chan struct{})
		result := make(chan error, 1)
		go func() { result <- r.bursts(conn, done) }()
		err = r.goodRestart(ctx)
		close(done)
		return errors.Join(err, <-result, r.awaitLost(ctx, 0))
	})
}

// bursts sends one burst after the other until done is closed.
func (r *Rig) bursts(conn *testredis.Conn, done <-chan struct{}) error {
	var cmds [][]any
	for i := range burstCommands {
		cmds = append(cmds, []any{"INCR", "burst:" + r.addr + ":" + strconv.Itoa(i%2)})
	}
	for n := 0; ; n++ {
		select {
		case <-done:
			return nil
		default:
		}
		sent := make(chan error, 1)
		go func() { sent <- conn.Send(cmds...) }()
		if err := errors.Join(receiveBurst(conn, n), <-sent); err != nil {
			return err
		}
	}
}

// receiveBurst takes the replies of burst n.
func receiveBurst(conn *testredis.Conn, n int) error {
	for i := range burstCommands {
		v, err := conn.Receive()
		if err != nil {
			return fmt.Errorf("restart: reply %d of burst %d: %w", i, n, err)
		}
		if want := int64((n*burstCommands+i)/2 + 1); v != want {
			return fmt.Errorf("restart: reply %d of burst %d is %v, not %d", i, n, v, want)
		}
	}
	return nil
}

// deafStays has a client that stays with the old process until it has read everything, and
// moves then.
func deafStays(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		d, pid, err := r.heldBy(ctx)
		if err != nil {
			return err
		}
		defer d.nc.Close()
		if err := errors.Join(d.hear(), r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid)); err != nil {
			return err
		}
		v, err := d.conn.Do("ECHO", "moved")
		if err == nil && v != "moved" {
			err = fmt.Errorf("restart: the reply is %v", v)
		}
		return errors.Join(err, r.awaitLost(ctx, 0))
	})
}

// streamsStay has a connection of a TCP service that stays with the old process, which ends
// after it.
func streamsStay(ctx context.Context, s *Stand) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() { echoAll(l) })
	defer serving.Wait()
	defer l.Close()
	o := RigOptions{Drain: drainLong, Config: func(c *Config, spare []string) {
		c.Services = append(c.Services, Service{Name: "stream", Listen: spare[0], More: "protocol: TCP", Nodes: []string{l.Addr().String()}})
	}}
	return s.withRig(ctx, o, func(r *Rig) error {
		old, err := net.Dial("tcp", r.spare[0])
		if err != nil {
			return err
		}
		defer old.Close()
		if err := errors.Join(echoes(old, "before"), r.Hangup()); err != nil {
			return err
		}
		pid, err := r.AwaitServing(ctx, r.first)
		if err != nil {
			return err
		}
		if err := errors.Join(r.awaitLeft(ctx, 1), echoes(old, "after")); err != nil {
			return err
		}
		young, err := net.Dial("tcp", r.spare[0])
		if err != nil {
			return err
		}
		defer young.Close()
		if err := errors.Join(echoes(young, "new"), echoes(old, "still"), old.Close(), r.endsWell(ctx, r.first)); err != nil {
			return err
		}
		return errors.Join(r.AwaitAlone(ctx, pid), echoes(young, "alone"), r.awaitLost(ctx, 0))
	})
}

// echoAll says everything back to everybody, until the listener is closed and all have
// left.
func echoAll(l net.Listener) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn) // ends with the connection
		})
	}
}

// echoes tells whether a text comes back.
func echoes(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	if err == nil && string(got) != text {
		err = fmt.Errorf("restart: %q comes back as %q", text, got)
	}
	return err
}
