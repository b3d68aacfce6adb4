package restart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	for name, v := range variants {
		built.once[name] = sync.OnceValues(func() (string, error) { return v.build(name) })
	}
	return w.m.Run()
}

// variant is a program, and what is another text in one of its files.
type variant struct {
	pkg, file, text, other string
}

var variants = map[string]variant{
	"samaritan":      {pkg: "cmd/samaritan"},
	"misbehave":      {pkg: "internal/chaos/restart/misbehave"},
	"other-sessions": {"cmd/samaritan", "cmd/samaritan/restart_state.go", "const sessionsVersion = 1\n", "const sessionsVersion = 2\n"},
	"other-protocol": {"cmd/samaritan", "hotrestart/message.go", "protocolVersion = 1 ", "protocolVersion = 2 "},
}

// root is the directory of the module.
const root = "../../.."

// build builds without the race detector, as it is shipped.
func (v variant) build(name string) (string, error) {
	path := filepath.Join(built.dir, name)
	args := []string{"build", "-race=false", "-o", path}
	if v.file != "" {
		overlay, err := v.overlay(path)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, "samaritan/"+v.pkg)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, err
}

// overlay writes the other text beside the program, and what has the compiler find it.
func (v variant) overlay(path string) (string, error) {
	real, err := filepath.Abs(filepath.Join(root, v.file))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(real)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte(v.text)) {
		return "", fmt.Errorf("%s does not have %q", v.file, v.text)
	}
	other, list := path+".go", path+".json"
	text = bytes.Replace(text, []byte(v.text), []byte(v.other), 1)
	entry, err := json.Marshal(map[string]map[string]string{"Replace": {real: other}})
	return list, errors.Join(err, os.WriteFile(other, text, 0o600), os.WriteFile(list, entry, 0o600))
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := built.once[name]()
	require.NoError(t, err)
	return path
}

func samaritan(t *testing.T) string {
	t.Helper()
	return program(t, "samaritan")
}
