// Samaritan is a sidecar: a daemon next to an application that makes a Redis
// Cluster look like one Redis server.
//
// The command only wires the parts together. Flags and the config are checked
// before anything is opened (flags.go); then everything starts at the same time
// (run.go) and serves until SIGTERM, SIGINT or /ops/shutdown. The end is in order:
// the procs drain, then the admin server closes, then the event loops stop.
//
// The file is taken anew on SIGUSR1, on POST /ops/reload and, with -watch, when its
// content has changed (reload.go). It is checked and made ready as a whole, and then
// brought in force, or not at all (transaction.go). What is the same as before is not
// touched. Services may also come from a management server (source.go).
//
// Exit codes: 0 after a graceful end, and for -version and a good -check; 1 for a
// bad config, for an end that was not graceful and for a second signal; 2 for bad
// flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"samaritan/config"
	"samaritan/internal/filewatch"
	"samaritan/internal/supervise"
)

// The build sets these.
var (
	version = "dev"
	commit  = "unknown"
	date    = "unknown"
)

const (
	exitOK = iota
	exitFailed
	exitUsage
)

func main() { os.Exit(start(os.Args[1:], os.Stdout, os.Stderr)) }

// start does what the flags say and returns the exit code.
func start(args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // parseFlags has told it
	case o.version:
		fmt.Fprintf(stdout, "samaritan %s (commit %s, built %s, %s %s/%s)\n", version, commit, date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	}
	if o.binary, err = ownPath(os.Args[0]); err != nil {
		fmt.Fprintf(stderr, "samaritan: find the own program: %v\n", err)
		return exitFailed
	}
	if !o.check && supervise.Wanted(o.supervise) {
		return supervise.Run(supervise.Options{Path: o.binary, Args: args})
	}
	known, _ := filewatch.SumOf(o.config) // before it is read, so that a change meanwhile is noticed
	boot, err := config.Options{InstanceID: o.id, Belong: o.service}.Load(o.config)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if o.check {
		fmt.Fprintf(stdout, "%s: OK\n", o.config)
		return exitOK
	}
	return serve(o, boot, known, stderr)
}

// serve runs the daemon.
func serve(o options, boot *config.Bootstrap, known filewatch.Sum, stderr io.Writer) int {
	log, err := newLogger(boot.Proto.Log)
	if err != nil {
		fmt.Fprintf(stderr, "%s: log: %v\n", o.config, err)
		return exitFailed
	}
	defer log.Close()
	d, err := newDaemon(o, boot, known, log)
	if err == nil {
		err = d.inherit(context.Background())
	}
	if err == nil {
		err = d.run()
	}
	if err != nil {
		log.Error("samaritan ends", "error", err)
		return exitFailed
	}
	return exitOK
}
