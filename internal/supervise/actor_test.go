package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// stageEnv has the unix socket at which a daemon reports, and makes the test
	// binary be one, or its supervisor.
	stageEnv = "SAMARITAN_TEST_STAGE"
	// flagEnv stands for the flag -supervise.
	flagEnv = "SAMARITAN_TEST_SUPERVISE"
	// pathEnv is Options.Path.
	pathEnv = "SAMARITAN_TEST_PATH"
)

// play is main of a supervisor or of a daemon.
func play() int {
	if Wanted(os.Getenv(flagEnv) != "") {
		return Run(Options{Path: os.Getenv(pathEnv)})
	}
	conn, err := net.Dial("unix", os.Getenv(stageEnv))
	if err != nil {
		return 99
	}
	a := &daemon{conn: conn}
	a.say("hello %d %d", os.Getpid(), os.Getppid())
	return a.obey()
}

// daemon does what the test says, one line at a time, and reports the signals it gets.
type daemon struct {
	conn net.Conn
	mu   sync.Mutex // of writing
}

func (d *daemon) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.conn, format+"\n", args...)
}

// obey returns the exit code. A test that is gone ends it.
func (d *daemon) obey() int {
	lines := bufio.NewScanner(d.conn)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] == "exit" {
			code, _ := strconv.Atoi(words[1])
			return code
		}
		if err := d.do(words[0], words[1:]); err != nil {
			d.say("failed: %v", err)
		} else {
			d.say("done")
		}
	}
	return 98
}

func (d *daemon) do(verb string, args []string) error {
	switch verb {
	case "ping":
		return nil
	case "catch":
		ch := make(chan os.Signal, 100)
		signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT)
		go func() {
			for sig := range ch {
				d.say("signal %d", sig)
			}
		}()
		return nil
	case "announce":
		pid := os.Getpid()
		if len(args) > 0 {
			pid, _ = strconv.Atoi(args[0])
		}
		return Announce(pid)
	case "babble":
		f, err := line()
		if err != nil {
			return err
		}
		_, err = io.WriteString(f, strings.Join(args, " ")+"\n")
		return err
	case "spawn": // a successor, which is reaped when it ends
		cmd := exec.Command(os.Args[0], "with", "arguments")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{os.Stdin} // the pipe is not always the first one
		if err := Pass(cmd); err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() { _ = cmd.Wait() }()
		return nil
	case "shell": // returns when the shell has, but not what it leaves behind
		return exec.Command("/bin/sh", "-c", strings.Join(args, " ")).Run()
	case "lost":
		if len(args) == 0 {
			return Lost(context.Background())
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := Lost(ctx); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the supervisor is there, and yet: %w", err)
		}
		return nil
	default:
		return fmt.Errorf("%s: unknown", verb)
	}
}
