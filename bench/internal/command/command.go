// Package command is what the benchmarks have in common as commands: how they end, and what arguments they refuse.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Run is a benchmark. Its results go to out; help, errors of use and the log to progress.
type Run func(ctx context.Context, args []string, out, progress io.Writer) error

// Main runs a benchmark, whose context ends with an interrupt or SIGTERM, and returns its exit code.
func Main(name string, run Run, args []string, out, progress io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Exit(name, run(ctx, args, out, progress), progress)
}

// Exit says what went wrong, if anything did, and returns the exit code. To be asked for help is no error.
func Exit(name string, err error, progress io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(progress, "%s: %v\n", name, err)
	return 1
}

// Parse parses flags. There may be no other arguments.
func Parse(fs *flag.FlagSet, args []string, progress io.Writer) error {
	fs.SetOutput(progress)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}
