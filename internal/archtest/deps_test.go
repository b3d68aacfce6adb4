package archtest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const daemon = "cmd/samaritan"

// notLinked are modules and packages that must stay out of the daemon: what
// tests, benchmarks and the demo use.
var notLinked = []string{
	"github.com/alicebob/miniredis",
	"github.com/gomodule/redigo",
	"github.com/redis/go-redis",
	"github.com/redis/rueidis",
	"github.com/stretchr/testify",
	"github.com/yuin/gopher-lua",
	"go.uber.org/goleak",
	"samaritan/bench",
	"samaritan/examples",
	"samaritan/internal/chaos",
	"samaritan/internal/markdown",
	"samaritan/internal/testvalues",
	"samaritan/internal/testmariadb",
	"samaritan/internal/testredis",
	"testing",
}

func TestDaemonLinksNothingThatIsForTests(t *testing.T) {
	readTree(t) // the test cache has to know that the result depends on the tree
	if _, err := os.Stat(filepath.Join(root, daemon)); errors.Is(err, fs.ErrNotExist) {
		t.Logf("%s does not exist yet", daemon)
		return
	}
	for _, dep := range goLines(t, "list", "-deps", "-f", "{{.ImportPath}}", "./"+daemon) {
		for _, path := range notLinked {
			assert.Falsef(t, dep == path || strings.HasPrefix(dep, path+"/"), "%s links %s", daemon, dep)
		}
	}
}

// mod is what `go mod edit -json` prints of go.mod.
type mod struct {
	Require []struct {
		Path     string
		Indirect bool
	}
	Tool []struct{ Path string }
}

// tableRow finds the first column of a table row of docs/dependencies.md: the
// path of a module or of a tool, as code.
var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

func TestEveryDirectDependencyIsExplained(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs/dependencies.md"))
	require.NoError(t, err)
	explained := map[string]bool{}
	for _, row := range tableRow.FindAllSubmatch(doc, -1) {
		explained[string(row[1])] = true
	}

	m := readMod(t)
	required := map[string]bool{}
	for _, r := range m.Require {
		required[r.Path] = true
		if !r.Indirect {
			assert.Truef(t, explained[r.Path] || isTool(m, r.Path), "go.mod requires %s: give it a line in docs/dependencies.md", r.Path)
		}
	}
	for _, tool := range m.Tool {
		required[tool.Path] = true
		assert.Truef(t, explained[tool.Path], "go.mod has the tool %s: give it a line in docs/dependencies.md", tool.Path)
	}
	for path := range explained {
		assert.Truef(t, required[path], "docs/dependencies.md explains %s, which go.mod does not require", path)
	}
}

// isTool reports whether the module is required for a tool of its own.
func isTool(m mod, path string) bool {
	for _, tool := range m.Tool {
		if tool.Path == path || strings.HasPrefix(tool.Path, path+"/") {
			return true
		}
	}
	return false
}

func readMod(t *testing.T) mod {
	t.Helper()
	_, err := os.ReadFile(filepath.Join(root, "go.mod")) // for the test cache
	require.NoError(t, err)
	var m mod
	require.NoError(t, json.Unmarshal([]byte(strings.Join(goLines(t, "mod", "edit", "-json"), "\n")), &m))
	require.NotEmpty(t, m.Require)
	return m
}

// goLines runs the go command at the module root.
func goLines(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		require.NoErrorf(t, err, "go %s: %s", strings.Join(args, " "), exit.Stderr)
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
