package supervise

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the test binary be a supervisor and its daemons, too: see play.
func TestMain(m *testing.M) {
	if os.Getenv(stageEnv) != "" {
		os.Exit(play())
	}
	goleak.VerifyTestMain(m)
}
