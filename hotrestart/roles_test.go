package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roles are what the processes of the tests do. The result is the exit status.
var serving atomic.Int32 // sessions

var roles = map[string]func() int{
	"good":     good,
	"bad":      bad,
	"late":     late,
	"mute":     mute,
	"starved":  starved,
	"newer":    newer,
	"ignorant": ignorant,
	"check":    check,
	"parent":   parent,
	"orphaned": orphaned,
	"held":     held,
	"drains":   drains,

	"ends slowly": endsSlowly,
}

// good does all that a child should. It echoes what its sessions send.
func good() int {
	before := openFiles()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	p := inherit(ctx)
	return takeOver(ctx, p, before)
}

func takeOver(ctx context.Context, p *Predecessor, before []string) int {
	listeners, welcome, err := p.Listeners(ctx)
	for _, l := range listeners {
		say("listener %s %s %v", l.Network, l.Address, nonblocking(l.File))
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
	if err := p.Taken(nil); err != nil {
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

// goOn says what is left open, and waits for its leash if it goes on alone.
func goOn(err error, before []string) int {
	if after := openFiles(); len(after) != len(before)+int(serving.Load()) {
		say("LEAK %d sessions, %v, not %v", serving.Load(), after, before)
	}
	if err == nil || errors.Is(err, ErrParentGone) {
		say("alone %v", err)
		hang()
	}
	return 3
}

func hang() {
	for range time.Tick(time.Hour) {
	}
}

// echo adopts a session: it answers who it is, and then echoes.
func echo(service string, fd int, state, input []byte) (func(), error) {
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		panic("not close-on-exec")
	}
	if strings.HasPrefix(service, "refused") {
		return nil, errors.New("no service " + service)
	}
	serving.Add(1)
	return func() {
		if service == "quiet" {
			return
		}
		f := os.NewFile(uintptr(fd), "session")
		fmt.Fprintf(f, "%s %s %d\n", service, state, len(input))
		go func() {
			_, _ = io.Copy(f, f)
			serving.Add(-1)
			_ = f.Close()
		}()
	}, nil
}

// The environment of misbehaving processes.
const (
	envAt = "HOTRESTART_TEST_AT" // when
	envDo = "HOTRESTART_TEST_DO" // what
)

// bad behaves up to a point.
func bad() int {
	ctx := context.Background()
	at := func(step string, p *Predecessor) {
		if os.Getenv(envAt) == step {
			say("now")
			misbehave(p)
		}
	}
	at("start", nil)
	p := inherit(ctx)
	at("hello", p)
	if _, _, err := p.Listeners(ctx); err != nil {
		panic(err)
	}
	p.Progress("so far so good")
	at("listeners", p)
	if _, err := p.Ready(ctx); err != nil {
		panic(err)
	}
	at("go", p)
	if err := p.Taken(nil); err != nil {
		panic(err)
	}
	at("taken", p)
	_ = p.Serve(ctx, Handler{Session: func(service string, fd int, state, input []byte) (func(), error) {
		at(service, p)
		return echo(service, fd, state, input)
	}})
	at("served", p)
	hang()
	return 0
}

// misbehave does what a child should not. At first there is no connection.
func misbehave(p *Predecessor) {
	if p == nil {
		if conn, err := dial(context.Background(), os.Getenv(EnvSocket)); err == nil {
			p = &Predecessor{wire: newWire(conn)}
		}
	}
	write := func(b []byte, fds ...int) {
		_, _, _ = p.wire.socket.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
		hang()
	}
	good := header{kind: kindReady}.append(nil)
	switch os.Getenv(envDo) {
	case "die":
		os.Exit(7)
	case "hang":
		hang()
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		hang() // another thread may have got it
	case "close":
		p.Close()
		hang()
	case "garbage":
		write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	case "magic":
		write(append([]byte("Smhr"), good[4:]...), 0, 1, 2)
	case "body":
		write(header{kind: kindProgress, body: maxBody + 1}.append(nil), 0)
	case "json":
		write(append(header{kind: kindProgress, body: 4, fds: 1}.append(nil), "[1]{"...), 0)
	case "raw":
		write(header{kind: kindReady, raw: 1 << 62}.append(nil))
	case "fewer":
		write(header{kind: kindReady, fds: 3}.append(nil), 0)
	case "more":
		write(header{kind: kindReady, fds: 1}.append(nil), 0, 1, 2)
	case "half":
		_, _, _ = p.wire.socket.WriteMsgUnix(header{kind: kindReady, raw: 100}.append(nil), nil, nil)
		os.Exit(7)
	case "early":
		_ = p.Taken(nil)
		hang()
	case "answer":
		_ = p.wire.send(kindAck, answer{ID: 1 << 40}, nil)
		hang()
	case "ending":
		p.Ending()
		os.Exit(7)
	case "failed":
		p.Failed("the cluster is not there")
		os.Exit(7)
	case "failed and hang":
		p.Failed("the cluster is not there")
		hang()
	default:
		panic("what?")
	}
}

// late comes when it is told to.
func late() int {
	say("waiting")
	gate, err := os.OpenFile(os.Getenv(envDo), os.O_RDONLY, 0) // blocks until somebody writes
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, gate)
	_ = gate.Close()
	return good()
}

// mute never answers a session.
func mute() int {
	ctx := context.Background()
	p := inherit(ctx)
	if _, _, err := p.Listeners(ctx); err != nil {
		panic(err)
	}
	if _, err := p.Ready(ctx); err != nil {
		panic(err)
	}
	if err := p.Taken(nil); err != nil {
		panic(err)
	}
	for {
		m, err := p.wire.receive()
		if err != nil {
			panic(err)
		}
		say("got %s", m.kind)
	}
}

// starved may not open any more files once it has taken over.
func starved() int {
	before := openFiles()
	ctx := context.Background()
	p := inherit(ctx)
	if _, _, err := p.Listeners(ctx); err != nil {
		panic(err)
	}
	if _, err := p.Ready(ctx); err != nil {
		panic(err)
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		panic(err)
	}
	less := was
	less.Cur = 0 // what is open stays so
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &less); err != nil {
		panic(err)
	}
	if err := p.Taken(nil); err != nil {
		panic(err)
	}
	err := p.Serve(ctx, Handler{
		Session: echo,
		State: func([]byte) {
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
			say("more files")
		},
	})
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	return goOn(err, before)
}

// check is the program that is run with -check.
func check() int {
	fmt.Println(strings.Join(os.Args[1:], " "))
	switch os.Getenv(envDo) {
	case "hang":
		hang()
	case "leave":
		self, _ := os.Executable()
		cmd := exec.Command(self, "-test.run=^$")
		cmd.Env = append(os.Environ(), envDo+"=hang")
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	case "flood":
		fmt.Print(strings.Repeat("no good. ", 100_000))
		return 1
	case "bad":
		fmt.Fprintln(os.Stderr, "services[0].name: missing")
		return 1
	}
	return 0
}

func nonblocking(f *os.File) bool {
	fd, err := descriptor(f)
	if err != nil {
		panic(err)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_NONBLOCK != 0
}

// newer says what is unknown to the parent, and does not know sessions.
func newer() int {
	ctx := context.Background()
	p := inherit(ctx)
	if _, _, err := p.Listeners(ctx); err != nil {
		panic(err)
	}
	_ = p.wire.send(99, text{"news"}, []int{0, 1, 2}, []byte("raw")) // now, as the answers come by themselves
	_ = p.wire.send(kindOffer, offer{Listeners: []address{{"tcp", "a"}}}, []int{0})
	for range 2 {
		m, err := p.wire.receive()
		if err != nil || m.kind != kindUnknown {
			panic(fmt.Sprint(m, err))
		}
		var u unknown
		_ = m.decode(&u)
		say("unknown %d", u.Type)
	}
	if _, err := p.Ready(ctx); err != nil {
		panic(err)
	}
	if err := p.Taken(nil); err != nil {
		panic(err)
	}
	for {
		m, err := p.wire.receive()
		if err != nil {
			panic(err)
		}
		m.close()
		if m.kind == kindFinish {
			say("finished")
			return 0
		}
		_ = p.wire.send(kindUnknown, unknown{m.kind}, nil)
	}
}

// ignorant knows nothing.
func ignorant() int {
	p := inherit(context.Background())
	for {
		m, err := p.wire.receive()
		if err != nil {
			panic(err)
		}
		m.close()
		_ = p.wire.send(kindUnknown, unknown{m.kind}, nil)
	}
}

// drains goes on serving its sessions after SIGTERM.
func drains() int {
	_ = good()
	say("draining")
	hang()
	return 0
}

// endsSlowly says that it ends when it gets an update, and does not end yet.
func endsSlowly() int {
	ctx := context.Background()
	before := openFiles()
	p := inherit(ctx)
	if _, _, err := p.Listeners(ctx); err != nil {
		panic(err)
	}
	if _, err := p.Ready(ctx); err != nil {
		panic(err)
	}
	if err := p.Taken(nil); err != nil {
		panic(err)
	}
	err := p.Serve(ctx, Handler{Session: echo, State: func([]byte) { p.Ending() }})
	say("served %v", err)
	return goOn(err, before)
}
