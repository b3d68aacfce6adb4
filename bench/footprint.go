package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/report"
)

// footprints measures memory and start of the proxies.
func (s *stage) footprints(ctx context.Context) (map[string]report.Footprint, error) {
	all := map[string]report.Footprint{}
	for _, name := range s.options.targets {
		if name == report.Reference {
			continue
		}
		progress("%-12s start and idle connections", name)
		f, err := s.footprint(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("footprint of %s: %w", name, err)
		}
		all[name] = f
	}
	return all, nil
}

// footprint starts a proxy several times, and connects idle clients to the
// last.
func (s *stage) footprint(ctx context.Context, name string) (report.Footprint, error) {
	var readies, sizes []float64
	for range s.options.starts - 1 {
		ready, rss, err := s.start(ctx, name)
		if err != nil {
			return report.Footprint{}, err
		}
		readies, sizes = append(readies, ready), append(sizes, rss)
	}
	t, err := s.open(ctx, name)
	if err != nil {
		return report.Footprint{}, err
	}
	defer t.close()
	rss, err := t.process.SettledRSS(ctx)
	if err != nil {
		return report.Footprint{}, err
	}
	readies, sizes = append(readies, millis(t.ready)), append(sizes, rss)
	count := s.idleCount()
	perConnection, err := idleMemory(ctx, t, rss, count)
	return report.Footprint{
		ReadyMillis: figures.Median(readies), StartRSS: figures.Median(sizes),
		Connections: count, PerConnection: perConnection,
	}, err
}

// start starts a proxy, reads its memory and ends it.
func (s *stage) start(ctx context.Context, name string) (ready, rss float64, err error) {
	t, err := s.open(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer t.close()
	rss, err = t.process.SettledRSS(ctx)
	return millis(t.ready), rss, err
}

// idleCount returns how many idle clients the limit of open files allows; 500
// files are for other things.
func (s *stage) idleCount() int {
	return max(1, min(s.options.idle, int(s.files)-500))
}

// idleMemory connects clients and returns the bytes that each adds to base.
func idleMemory(ctx context.Context, t *target, base float64, count int) (float64, error) {
	conns, err := connectIdle(ctx, t.addr, count)
	defer func() {
		for _, c := range conns {
			hangUp(c)
		}
	}()
	if err != nil {
		return 0, errors.Join(err, t.running())
	}
	rss, err := t.process.SettledRSS(ctx)
	return max(0, rss-base) / float64(count), err
}

// hangUp closes a connection with a reset, so that no port waits for late
// packets.
func hangUp(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // Without it the port just waits.
	}
	c.Close()
}

// idleBatch is how many clients ask at the same time before they go idle.
const idleBatch = 100

// connectIdle connects clients, each of which asks once. It returns those that
// were connected, also with an error.
func connectIdle(ctx context.Context, addr string, count int) ([]net.Conn, error) {
	var conns []net.Conn
	var dialer net.Dialer
	for len(conns) < count {
		first := len(conns)
		for range min(idleBatch, count-first) {
			c, err := dialer.DialContext(ctx, "tcp", addr)
			if err != nil {
				return conns, err
			}
			conns = append(conns, c)
		}
		if err := askOnce(conns[first:]); err != nil {
			return conns, fmt.Errorf("client %d: %w", first, err)
		}
	}
	return conns, nil
}

// askOnce sends a request on each connection, then reads each reply, all of
// which are short.
func askOnce(conns []net.Conn) error {
	deadline := time.Now().Add(10 * time.Second)
	for _, c := range conns {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
		if _, err := c.Write([]byte("*2\r\n$3\r\nGET\r\n$9\r\nno:such:k\r\n")); err != nil {
			return err
		}
	}
	reply := make([]byte, 64)
	for _, c := range conns {
		n, err := c.Read(reply)
		if err != nil {
			return err
		}
		if reply[0] == '-' {
			return fmt.Errorf("%w: %q", errReply, reply[:n])
		}
	}
	return nil
}

// errReply says that a client got an error instead of a value.
var errReply = errors.New("error reply")
