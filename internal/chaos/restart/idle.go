package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// fdReserve is how many descriptors a process needs besides those of idle connections.
const fdReserve = 500

// IdleOptions say how many connections are handed over.
type IdleOptions struct {
	Programs Programs
	Dir      string // an empty directory
	Reaper   *Reaper
	Nodes    []string // of the cluster
	Conns    int
	Logf     func(format string, args ...any)
}

// IdleReport is what happened.
type IdleReport struct {
	Conns    int           // fewer than wanted when there are not enough descriptors
	Serving  time.Duration // from the signal until the new process serves
	Moved    time.Duration // from the signal until it has all connections
	Moving   time.Duration // the part of that since it served
	Answered time.Duration // until all of them had an answer, one after the other
	Usage    Usage         // of the new process
}

// idle is a connection that says nothing. It is no testredis.Conn, of which each has a
// buffer.
type idle struct{ nc net.Conn }

// RunIdle hands idle connections over. Each has to answer afterwards.
func RunIdle(ctx context.Context, o IdleOptions) (rep IdleReport, err error) {
	if rep.Conns, err = affordable(o.Conns); err != nil {
		return rep, err
	}
	if rep.Conns < o.Conns {
		o.Logf("only %d connections: the limit of descriptors does not allow for more", rep.Conns)
	}
	s := &Stand{Programs: o.Programs, Dir: o.Dir, Reaper: o.Reaper, Nodes: o.Nodes}
	err = s.withRig(ctx, nobody, func(r *Rig) error { return r.idles(ctx, &rep) })
	return rep, err
}

// affordable returns how many connections the limit of descriptors allows for.
func affordable(conns int) (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("restart: limit of descriptors: %w", err)
	}
	return min(conns, int(l.Cur)-fdReserve), nil
}

// idles connects, restarts and asks.
func (r *Rig) idles(ctx context.Context, rep *IdleReport) error {
	conns, err := connectIdle(r.addr, rep.Conns)
	defer func() {
		for _, c := range conns {
			_ = c.nc.Close()
		}
	}()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := r.Hangup(); err != nil {
		return err
	}
	pid, err := r.AwaitServing(ctx, r.first)
	if err != nil {
		return err
	}
	rep.Serving = time.Since(start)
	if err := r.awaitAdopted(ctx, rep.Conns); err != nil {
		return err
	}
	rep.Moved = time.Since(start)
	rep.Moving = rep.Moved - rep.Serving
	start = time.Now()
	for i, c := range conns {
		if err := c.ping(); err != nil {
			return fmt.Errorf("restart: idle connection %d: %w", i, err)
		}
	}
	rep.Answered = time.Since(start)
	if err := errors.Join(r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid)); err != nil {
		return err
	}
	rep.Usage, err = usageOf(pid)
	return err
}

// awaitAdopted waits until the new process has so many connections.
func (r *Rig) awaitAdopted(ctx context.Context, conns int) error {
	return eventually(ctx, startLimit, func() error {
		n, err := r.stat(ctx, "hotrestart.clients_adopted_total")
		if err == nil && int(n) != conns {
			err = fmt.Errorf("restart: %.0f of %d connections have moved", n, conns)
		}
		return err
	})
}

// connectIdle connects and does one command each, some at a time.
func connectIdle(addr string, n int) (conns []*idle, err error) {
	const atATime = 16
	var mu sync.Mutex // guards conns and err
	var running sync.WaitGroup
	for part := range slices.Chunk(make([]struct{}, n), (n+atATime-1)/atATime) {
		running.Go(func() {
			for range part {
				c, dialErr := dialIdle(addr)
				mu.Lock()
				if dialErr != nil {
					err = errors.Join(err, dialErr)
					mu.Unlock()
					return
				}
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return conns, err
}

func dialIdle(addr string) (*idle, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &idle{nc}
	if err := c.ping(); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

// ping does one command.
func (c *idle) ping() error {
	const pong = "+PONG\r\n"
	if err := c.nc.SetDeadline(time.Now().Add(replyLimit)); err != nil {
		return err
	}
	if _, err := c.nc.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	var got [len(pong)]byte
	if _, err := io.ReadFull(c.nc, got[:]); err != nil {
		return err
	}
	if string(got[:]) != pong {
		return fmt.Errorf("restart: PING is answered with %q", got)
	}
	return nil
}
