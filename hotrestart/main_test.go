package hotrestart

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// envRole has the test binary be one of the processes of a hot restart.
const envRole = "HOTRESTART_TEST_ROLE"

func TestMain(m *testing.M) {
	if name := os.Getenv(envRole); name != "" {
		role, ok := roles[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such role:", name)
			os.Exit(2)
		}
		os.Exit(role())
	}
	goleak.VerifyTestMain(m)
}
