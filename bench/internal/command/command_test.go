package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{fmt.Errorf("parse: %w", flag.ErrHelp), 0, ""},
		{errors.New("no such thing"), 1, "bench: no such thing\n"},
	} {
		var progress bytes.Buffer
		run := func(context.Context, []string, io.Writer, io.Writer) error { return c.err }
		assert.Equal(t, c.code, Main("bench", run, nil, io.Discard, &progress), c.err)
		assert.Equal(t, c.says, progress.String())
	}
}

func TestSignalsEndTheContext(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		run := func(ctx context.Context, _ []string, _, _ io.Writer) error {
			err := syscall.Kill(syscall.Getpid(), s)
			<-ctx.Done()
			return err
		}
		assert.Zero(t, Main("bench", run, nil, io.Discard, io.Discard))
	}
}

func TestOnlyFlagsAreArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-quick"}, ""},
		{[]string{"-quick", "more"}, `unexpected argument "more"`},
		{[]string{"-unknown"}, "not defined: -unknown"},
		{[]string{"-help"}, flag.ErrHelp.Error()},
	} {
		fs := flag.NewFlagSet("bench", flag.ContinueOnError)
		fs.Bool("quick", false, "briefly")
		var progress bytes.Buffer
		err := Parse(fs, c.args, &progress)
		if c.want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, c.want)
	}
}
