// Misbehave is put in the place of the daemon's binary, to be started by a hot restart. It
// does what a new process does, but serves nobody, and goes wrong at the point that a file
// beside it names, which is called misbehave and has two words.
//
// There it makes a file called reached. The first word is what it does then: exit (with 3), kill (itself, with SIGKILL), stop
// (itself, with SIGSTOP), hang (until it is killed), fail (says that it cannot become
// ready), garbage (writes what is no message, and hangs), or exec (waits until there is a file called
// release, and becomes the program real/samaritan).
//
// The second word is where: check (when it is to check the config), start (before it has
// connected), connect (before it says hello), hello (after it), listeners (it has got them), ready (it
// has said so), go (it may take over), taken (it has said that it did), or a number: when
// it has acknowledged so many sessions and gets another one.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"samaritan/hotrestart"
)

const (
	// exitCode is that of exit.
	exitCode = 3

	// sessions is the version of sessions of the daemon, so that it gives us some.
	sessions = 1
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "misbehave:", err)
		os.Exit(1)
	}
}

// plan is what is to go wrong.
type plan struct {
	dir, action, point string
	socket             string // of the parent
	parent             *hotrestart.Predecessor
}

func run() error {
	p, err := readPlan()
	if err != nil {
		return err
	}
	if slices.Contains(os.Args, "-check") {
		return p.at("check")
	}
	if err := p.at("start"); err != nil {
		return err
	}
	if p.point == "connect" {
		return p.connect()
	}
	return p.follow()
}

func readPlan() (p plan, err error) {
	p.dir = filepath.Dir(os.Args[0])
	text, err := os.ReadFile(filepath.Join(p.dir, "misbehave"))
	if err != nil {
		return p, err
	}
	words := strings.Fields(string(text))
	if len(words) != 2 {
		return p, fmt.Errorf("the plan is %q, not two words", text)
	}
	p.action, p.point = words[0], words[1]
	p.socket = os.Getenv(hotrestart.EnvSocket)
	return p, nil
}

// follow is the life of a new process.
func (p *plan) follow() (err error) {
	ctx := context.Background()
	if p.parent, err = hotrestart.Inherit(ctx, "misbehaving", sessions); err != nil {
		return err
	}
	if p.parent == nil {
		return errors.New("there is no parent")
	}
	if err = p.at("hello"); err != nil {
		return err
	}
	if _, _, err = p.parent.Listeners(ctx); err != nil {
		return err
	}
	if err = p.at("listeners"); err != nil {
		return err
	}
	if p.point == "ready" { // says so, and does not wait for what follows
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err = p.parent.Ready(over)
		return errors.Join(p.at("ready"), err)
	}
	if _, err = p.parent.Ready(ctx); err != nil {
		return err
	}
	if err = p.at("go"); err != nil {
		return err
	}
	if err = p.parent.Taken(nil); err != nil {
		return err
	}
	if err = p.at("taken"); err != nil {
		return err
	}
	return p.serve(ctx)
}

// serve acknowledges sessions, which nobody serves.
func (p *plan) serve(ctx context.Context) error {
	taken := 0
	return p.parent.Serve(ctx, hotrestart.Handler{
		Session: func(string, int, []byte, []byte) (func(), error) {
			if err := p.at(strconv.Itoa(taken)); err != nil {
				return nil, err
			}
			taken++
			return func() {}, nil
		},
		State: func([]byte) {},
	})
}

// at goes wrong when this is the point.
func (p *plan) at(point string) error {
	if point != p.point {
		return nil
	}
	if err := os.WriteFile(filepath.Join(p.dir, "reached"), nil, 0o600); err != nil {
		return err
	}
	switch p.action {
	case "exit":
		fmt.Println("misbehave: exits at", point)
		os.Exit(exitCode)
	case "kill":
		return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), hang())
	case "stop":
		return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGSTOP), hang())
	case "hang":
		return hang()
	case "fail":
		p.parent.Failed("it does not want to")
		return nil
	case "exec":
		return p.become()
	}
	return fmt.Errorf("there is no action %q at %s", p.action, point)
}

// hang does not return.
func hang() error {
	for {
		time.Sleep(time.Hour)
	}
}

// become waits to be released, and is the real program then.
func (p *plan) become() error {
	for {
		if _, err := os.Stat(filepath.Join(p.dir, "release")); err == nil {
			return syscall.Exec(filepath.Join(p.dir, "real", "samaritan"), os.Args, os.Environ())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// connect meets the parent and does not say hello.
func (p *plan) connect() error {
	conn, err := net.Dial("unix", p.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if p.action != "garbage" {
		return p.at("connect")
	}
	if _, err := conn.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 100))); err != nil {
		return err
	}
	return hang()
}
