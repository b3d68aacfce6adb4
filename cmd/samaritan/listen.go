package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"

	"samaritan/api/common"
)

const (
	// Pauses between two tries to bind the admin address.
	bindMin = 10 * time.Millisecond
	bindMax = 5 * time.Second
	// fewFiles is a limit of descriptors that is said to be low.
	fewFiles = 4096
)

// listen binds an address for a proc or the admin server. Multipath TCP, which Go
// would offer, costs and has no use on one host.
func listen(ctx context.Context, network, address string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, network, address)
}

func hostPort(a *common.Address) string {
	return net.JoinHostPort(a.GetIp(), strconv.Itoa(int(a.GetPort())))
}

// bind tries until it has the address. It returns nil when ctx ends before. That it
// fails is not said in the first moments, for so long as quiet.
func bind(ctx context.Context, log *slog.Logger, address string, quiet time.Duration) net.Listener {
	begin, said, pause := time.Now(), false, bindMin
	for {
		ln, err := listen(ctx, "tcp", address)
		if err == nil {
			if said {
				log.Info("admin server listens", "address", address)
			}
			return ln
		}
		if ctx.Err() != nil {
			return nil
		}
		if !said && time.Since(begin) >= quiet {
			said = true
			log.Error("admin server cannot listen, trying again", "error", err)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return nil
		}
		pause = min(2*pause, bindMax)
	}
}

// sleep returns false when ctx ends before d has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// warnOfFewFiles says when there is room for few connections only. The Go runtime
// has raised the soft limit to the hard one, or one below, when the process started.
func warnOfFewFiles(log *slog.Logger) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("the limit of open files is not known", "error", err)
		return
	}
	if limit.Max < fewFiles {
		log.Warn("the limit of open files is low: each connection takes one", "limit", limit.Cur, "hard", limit.Max)
	}
}
