package hotrestart

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

const (
	// envRole has the test binary be one of the processes of a hot restart.
	envRole = "HOTRESTART_TEST_ROLE"
	// envLeash names a pipe; when nobody has it open for writing any more, the process ends.
	envLeash = "HOTRESTART_TEST_LEASH"
)

// leash is how no process outlives its test, whoever its parent is.
func leash() {
	f, err := os.OpenFile(os.Getenv(envLeash), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, "leash:", err)
		os.Exit(2)
	}
	go func() {
		_, _ = io.Copy(io.Discard, f)
		os.Exit(9)
	}()
}

func TestMain(m *testing.M) {
	if name := os.Getenv(envRole); name != "" {
		role, ok := roles[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such role:", name)
			os.Exit(2)
		}
		leash()
		os.Exit(role())
	}
	goleak.VerifyTestMain(m)
}
