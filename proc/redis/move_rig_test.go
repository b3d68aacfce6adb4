package redis

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc"
)

// errRefused is what a courier says that takes nobody.
var errRefused = errors.New("refused by the test")

// startTwins starts two proxies before the shared cluster, which is empty. They stand for
// the process before and the one after a hot restart.
func startTwins(t testing.TB, o proxyOptions) (a, b *testProxy) {
	t.Helper()
	addrs := testredis.Shared(t, testredis.Options{}).Addrs()
	return startProxy(t, o, addrs...).ready(t), startProxy(t, o, addrs...).ready(t)
}

// courier carries clients to another proxy as a hot restart does: descriptor and bytes are
// copied, it says that it has them, and only then they are served.
type courier struct {
	t      testing.TB
	to     *testProxy
	take   func(proc.Client) error // nil: all are taken
	wg     sync.WaitGroup
	turns  chan struct{}
	taken  atomic.Int64
	denied atomic.Int64
	bytes  atomic.Int64 // of input
}

func newCourier(t testing.TB, to *testProxy) *courier {
	return &courier{t: t, to: to, turns: make(chan struct{}, 4)}
}

// give hands a client over on a goroutine, so that answers come in any order.
func (c *courier) give(client proc.Client, done func(error)) {
	c.turns <- struct{}{}
	c.wg.Go(func() {
		defer func() { <-c.turns }()
		c.carry(client, done)
	})
}

func (c *courier) carry(client proc.Client, done func(error)) {
	if c.take != nil {
		if err := c.take(client); err != nil {
			c.denied.Add(1)
			done(err)
			return
		}
	}
	fd, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(client.FD), syscall.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		done(e)
		return
	}
	begin, err := c.to.Adopt(proc.Client{FD: int(fd), State: bytes.Clone(client.State), Input: bytes.Clone(client.Input)})
	if err != nil {
		closeFD(int(fd))
		done(err)
		return
	}
	c.taken.Add(1)
	c.bytes.Add(int64(len(client.Input)))
	done(nil)
	begin()
}

// moveAll moves every client of one proxy to another, and has the other one accept in its
// place. It returns how long that took.
func moveAll(t testing.TB, from, to *testProxy) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wireTimeout)
	defer cancel()
	began := time.Now()
	from.Pause()
	c := newCourier(t, to)
	from.MoveClients(ctx, c.give)
	took := time.Since(began)
	c.wg.Wait()
	left := from.Clients()
	from.Resume()
	require.NoError(t, ctx.Err(), "%d clients are left", left)
	require.Zero(t, left)
	return took
}
