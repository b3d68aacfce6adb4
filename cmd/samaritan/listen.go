package main

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"time"

	"samaritan/api/common"
)

// fewFiles is a limit of descriptors that is said to be low.
const fewFiles = 4096

func hostPort(a *common.Address) string {
	return net.JoinHostPort(a.GetIp(), strconv.Itoa(int(a.GetPort())))
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

// untilNextLook is how long to wait after a look at something that began at a time, to look
// at it every now and then: with many services looking takes long, and gets a tenth of the time.
func untilNextLook(began time.Time, every time.Duration) time.Duration {
	return max(every, 9*time.Since(began))
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
