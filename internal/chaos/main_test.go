package chaos

import (
	"testing"

	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testredis.Main(m)) }
