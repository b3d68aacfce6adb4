package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// roles are what the processes of the tests do. The result is the exit status.
var adopted atomic.Bool // a session has been

var roles = map[string]func() int{
	"good": good,
}

// good does all that a child should. It echoes what its sessions send.
func good() int {
	before := openFiles()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	p := inherit(ctx)
	listeners, welcome, err := p.Listeners(ctx)
	for _, l := range listeners {
		say("listener %s %s", l.Network, l.Address)
		_ = l.File.Close()
	}
	say("welcome %s, %v", welcome, err)
	if err != nil {
		p.Close()
		return goOn(err, before)
	}
	p.Progress("connecting")
	p.Progress("connecting")
	p.Progress("connected")
	state, err := p.Ready(ctx)
	say("go %s, %v", state, err)
	if err != nil {
		p.Close()
		return goOn(err, before)
	}
	if err := p.Taken(); err != nil {
		p.Close()
		return goOn(err, before)
	}
	err = p.Serve(ctx, Handler{
		Session: echo,
		State:   func(state []byte) { say("update %s", state) },
	})
	say("served %v", err)
	return goOn(err, before)
}

// inherit panics without a parent.
func inherit(ctx context.Context) *Predecessor {
	p, err := Inherit(ctx, "v2", sessionsVersion())
	if err != nil {
		panic(err)
	}
	moves, why := p.MovesClients()
	say("parent %d %s %v %s", p.PID(), p.Version(), moves, why)
	return p
}

func sessionsVersion() int {
	v := 1
	_, _ = fmt.Sscan(os.Getenv("HOTRESTART_TEST_SESSIONS"), &v)
	return v
}

// goOn says what is left open, and waits to be ended if the child goes on alone.
func goOn(err error, before []string) int {
	if after := openFiles(); len(after) != len(before) && !adopted.Load() {
		say("LEAK %v, not %v", after, before)
	}
	switch {
	case err == nil || errors.Is(err, ErrParentGone):
		say("alone %v", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		select {}
	}
	return 3
}

// echo adopts a session: it answers who it is, and then echoes.
func echo(service string, fd int, state, input []byte) (func(), error) {
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		panic("not close-on-exec")
	}
	if strings.HasPrefix(service, "refused") {
		return nil, errors.New("no service " + service)
	}
	adopted.Store(true)
	return func() {
		f := os.NewFile(uintptr(fd), "session")
		fmt.Fprintf(f, "%s %s %d\n", service, state, len(input))
		go func() {
			_, _ = io.Copy(f, f)
			_ = f.Close()
		}()
	}, nil
}
