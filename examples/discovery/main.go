// Command discovery is a management server for sidecars: it tells them their
// services from a directory of YAML files, and what changes there when it changes.
//
//	go run ./examples/discovery -dir examples/discovery/sample
//	samaritan -config examples/discovery/sample/sidecar.yaml
//
// README.md explains the files. Package server has the streams, package directory
// the files; this only wires them up.
//
// Exit codes: 0 after SIGINT or SIGTERM, and for a good -check; 1 for a bad one and
// for a start that failed; 2 for bad flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"samaritan/examples/discovery/directory"
	"samaritan/examples/discovery/server"
)

const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	code := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

// start does what the flags say and returns the exit code.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // it was told
	case o.check:
		return check(o.dir, stdout, stderr)
	}
	if err := serve(ctx, o, slog.New(slog.NewTextHandler(stderr, o.logOptions()))); err != nil {
		fmt.Fprintln(stderr, "discovery:", err)
		return exitFailed
	}
	return exitOK
}

// check prints all problems of the directory.
func check(dir string, stdout, stderr io.Writer) int {
	if _, err := directory.Load(dir); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: OK\n", dir)
	return exitOK
}

// serve runs until ctx ends, or until the listener breaks.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	so, err := o.server(log)
	if err != nil {
		return err
	}
	s := server.New(so)
	w := directory.New(directory.Options{Dir: o.dir, Apply: s.Replace, Log: log})
	if err := w.Read(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	log.Info("serving", "address", l.Addr().String(), "dir", o.dir, "tls", so.TLS != nil, "token", so.Token != "")

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan error, 1)
	go func() { watched <- w.Run(ctx) }()
	err = s.Serve(ctx, l)
	cancel()
	return errors.Join(err, <-watched)
}
