package testredis_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

// orphanEnv makes this test binary a parent that dies; see
// TestServersDieWithTheTestProcess.
const orphanEnv = "TESTREDIS_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		orphan()
	}
	goleak.VerifyTestMain(testredis.Main(m))
}
