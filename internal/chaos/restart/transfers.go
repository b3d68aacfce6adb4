package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

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

// piece is what it is sent and read in.
const piece = 1 << 20

// pieceOf is a part of the value: its number, and bytes that are the same in all.
func pieceOf(n int) string { return fmt.Sprintf("%016d", n) + pieceFilling }

var pieceFilling = strings.Repeat("0123456789abcdefghijk", piece/21+1)[:piece-16]

// sendPieces writes a part of the value.
func sendPieces(w io.Writer, from, to int) error {
	for n := from; n < to; n++ {
		if _, err := io.WriteString(w, pieceOf(n)); err != nil {
			return err
		}
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
		if err := sendPieces(nc, 0, halfSize/piece/2); err != nil {
			return err
		}
		if err := r.goodRestart(ctx); err != nil { // so the client has moved
			return err
		}
		if err := sendPieces(nc, halfSize/piece/2, halfSize/piece); err != nil {
			return err
		}
		if _, err := io.WriteString(nc, "\r\n"); err != nil {
			return err
		}
		if v, err := conn.Receive(); err != nil || v != "OK" {
			return fmt.Errorf("restart: SET of the large value: %v %w", v, err)
		}
		return errors.Join(checkPieces(nc, conn, key), delKey(conn, key), r.awaitLost(ctx, 0))
	})
}

// checkPieces reads the value piece by piece.
func checkPieces(nc net.Conn, conn *testredis.Conn, key string) error {
	if v, err := conn.Do("STRLEN", key); err != nil || v != int64(halfSize) {
		return fmt.Errorf("restart: the large value has %v bytes: %w", v, err)
	}
	buf := make([]byte, piece+64)
	for n := range halfSize / piece {
		if err := conn.Send([]any{"GETRANGE", key, n * piece, (n+1)*piece - 1}); err != nil {
			return err
		}
		if err := expect(nc, bulk(pieceOf(n)), buf); err != nil {
			return fmt.Errorf("restart: MiB %d of the large value: %w", n, err)
		}
	}
	return nil
}

// bulk is a text as a reply.
func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

// expect reads just these bytes. buf has room for them. It is for much data: a testredis.Conn
// takes long under the race detector, and must have nothing in its buffer.
func expect(nc net.Conn, want string, buf []byte) error {
	if err := nc.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		return err
	}
	got := buf[:len(want)]
	if _, err := io.ReadFull(nc, got); err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("the bytes are others than were sent")
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
