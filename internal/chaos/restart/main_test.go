package restart

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

// reaper is the one of this process.
var reaper *Reaper

// built has the programs that the tests need, built once.
var built struct {
	dir  string
	once map[string]func() (string, error)
}

func TestMain(m *testing.M) {
	var err error
	if reaper, err = NewReaper(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(testredis.Main(withPrograms{m}))
}

// withPrograms has the programs removed at the end.
type withPrograms struct{ m *testing.M }

func (w withPrograms) Run() int {
	dir, err := os.MkdirTemp("", "samaritan-restart-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	built.dir = dir
	built.once = map[string]func() (string, error){}
	for _, pkg := range []string{"cmd/samaritan", "internal/chaos/restart/misbehave"} {
		built.once[pkg] = sync.OnceValues(func() (string, error) { return buildProgram(pkg) })
	}
	return w.m.Run()
}

// buildProgram builds without the race detector, as it is shipped.
func buildProgram(pkg string) (string, error) {
	path := filepath.Join(built.dir, filepath.Base(pkg))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-race=false", "-o", path, "samaritan/"+pkg).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, err
}

func program(t *testing.T, pkg string) string {
	t.Helper()
	path, err := built.once[pkg]()
	require.NoError(t, err)
	return path
}

func samaritan(t *testing.T) string {
	t.Helper()
	return program(t, "cmd/samaritan")
}
