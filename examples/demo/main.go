// Command demo runs a whole Samaritan set-up on one machine: a Redis Cluster
// of three masters, the daemon in front of it, and a few lines that say what to
// type next. ^C or SIGTERM stops all of it; no process and no file stays behind.
//
//	go run ./examples/demo
//	go run ./examples/demo -dynamic
//
// The masters are redis-server processes where redis-server is installed, and
// otherwise in-process nodes (package minicluster). The daemon is a child
// process with a config and a data directory of its own in a temporary
// directory.
//
// With -dynamic the daemon has its services from a management server over files that
// may be edited (examples/discovery, in the demo itself), and one of them is a TCP
// service in front of two small web servers.
//
// Things are started in the order directory, nodes, web and management servers,
// daemon, and stopped in the reverse one, so that the daemon can finish what it has in flight. The daemon
// has a process group of its own: ^C reaches the demo alone, which then decides
// what ends when.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// options are the command line.
type options struct {
	nodes     string // real, inprocess or auto
	port      int    // clients connect here; 0: the usual one, or any free one
	admin     int    // the admin server; 0 likewise
	dynamic   bool   // the daemon has its services from a management server
	web       int    // with dynamic: clients of the web servers connect here; 0 likewise
	samaritan string // the daemon's binary; empty: build it
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	// Never handed back: an impatient second ^C, or the several SIGTERMs of a
	// parent that dies thread by thread, must not cut the cleaning up short. It
	// is bounded by itself.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := run(ctx, opts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func parse(args []string, output io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&opts.nodes, "nodes", auto, "the cluster's nodes: `kind` real (redis-server), inprocess, or auto (real if installed)")
	flags.IntVar(&opts.port, "port", 0, "`port` for Redis clients (default 6379, or a free one if that is taken)")
	flags.IntVar(&opts.admin, "admin", 0, "`port` of the admin server (default 12345, or a free one if that is taken)")
	flags.BoolVar(&opts.dynamic, "dynamic", false, "have the services from a management server, and a TCP service besides")
	flags.IntVar(&opts.web, "web", 0, "`port` of the TCP service with -dynamic (default 8080, or a free one if that is taken)")
	flags.StringVar(&opts.samaritan, "samaritan", "", "`path` of the daemon's binary (default: build ./cmd/samaritan)")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(output, "demo:", err)
		return opts, err
	}
	return opts, nil
}

// run keeps the demo up until ctx is done, or until the daemon ends by itself,
// which is an error.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	// The kernel ends the daemon with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := followParent(); err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "samaritan-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	nodes, err := startNodes(ctx, opts.nodes)
	if err != nil {
		return orStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()

	s, err := prepare(ctx, opts, dir, nodes.Addrs())
	if err != nil {
		return orStopped(ctx, err)
	}
	src, err := s.writeConfig(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()

	return serve(ctx, s, guide(s, nodes), out)
}

// serve runs the daemon.
func serve(ctx context.Context, s setup, guide string, out io.Writer) (err error) {
	d, err := startDaemon(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()

	if err := d.waitReady(ctx); err != nil {
		return orStopped(ctx, err)
	}
	fmt.Fprint(out, guide)
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nStopping.")
		return nil
	case <-d.done:
		return d.unexpected()
	}
}

// orStopped is nil if err came from the user's wish to stop.
func orStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
