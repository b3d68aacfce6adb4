package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"samaritan/bench/internal/child"
)

const (
	startTimeout = 20 * time.Second
	files        = 20_000 // open ones, of each process
)

// Servers is how many addresses the server has.
const Servers = 10

// Options say what to start.
type Options struct {
	Samaritan string   // path of the proxy that is measured
	HAProxy   string   // path of the one that it is compared with
	Server    []string // command that serves on the addresses that come behind it
	Pin       bool     // proxies on the first CPU, all else, this process too, on the others
	StandIn   bool     // another HAProxy plays Samaritan
}

// Stand is a server and the proxies in front of it. It is not safe for concurrent use.
type Stand struct {
	options Options
	dir     string
	cpus    []int // of proxies; empty: any
	starter *child.Starter
	server  *child.Process
	port    int // of the server, on each of its addresses
}

// Open starts the server. The caller has to call Close, also when the context has ended.
func Open(ctx context.Context, o Options) (_ *Stand, err error) {
	s := &Stand{options: o, starter: child.NewStarter()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.requirePrograms(); err != nil {
		return nil, err
	}
	if o.Pin {
		if s.cpus, err = child.PinApart(); err != nil {
			return nil, err
		}
	}
	if _, err := child.RaiseFiles(files); err != nil {
		return nil, fmt.Errorf("raise the limit of open files: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "samaritan-tcp-"); err != nil {
		return nil, err
	}
	return s, s.serve(ctx)
}

// requirePrograms checks that all programs are there, before minutes are spent without them.
func (s *Stand) requirePrograms() (err error) {
	if s.options.HAProxy, err = exec.LookPath(s.options.HAProxy); err != nil {
		return fmt.Errorf("%w: run `apt-get install haproxy`", err)
	}
	if _, err := exec.LookPath(s.options.Samaritan); err != nil && !s.options.StandIn {
		return fmt.Errorf("%w: run `make build`", err)
	}
	return nil
}

// serve starts the server.
func (s *Stand) serve(ctx context.Context) (err error) {
	if s.port, _, err = child.FreePorts(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	command := s.options.Server[:len(s.options.Server):len(s.options.Server)]
	for i := range Servers {
		command = append(command, s.Server(i))
	}
	// It listens on the last address last.
	s.server, _, err = s.starter.Launch(ctx, child.Options{Dir: s.dir}, child.Accepts(s.Server(Servers-1)), command...)
	return err
}

// Server is one of the addresses of the server, as host:port.
func (s *Stand) Server(i int) string {
	ip, port := s.ServerAddress(i)
	return fmt.Sprintf("%s:%d", ip, port)
}

// ServerAddress is the same in two parts. There are [Servers] of them: 127.0.0.11 and the following.
func (s *Stand) ServerAddress(i int) (ip string, port int) {
	return fmt.Sprintf("127.0.0.%d", 11+i%Servers), s.port
}

// Threads is how many each proxy has: one for each CPU that it may run on, which is what Go chooses, too.
func (s *Stand) Threads() int {
	if len(s.cpus) > 0 {
		return len(s.cpus)
	}
	return runtime.NumCPU()
}

// Close ends all processes and removes their files.
func (s *Stand) Close() error {
	s.starter.Close()
	return os.RemoveAll(s.dir) // does nothing when there is none
}
