package archtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// layer says what the packages that match pattern may import of ours. A
// pattern names a directory; with /... at its end it stands for everything
// below that directory too. The first layer that matches a package holds.
type layer struct {
	pattern string
	may     []string
}

// layers is the import graph, from the leaves up. Tests are free in what they
// import.
var layers = []layer{
	// Leaves: usable alone, importing nothing of ours.
	{"proc/redis/resp", nil},
	{"proc/redis/compress", nil},
	{"proc/redis/cluster", nil},
	{"hotkey", nil},
	{"hotrestart", nil},
	{"internal/eventloop", nil},
	{"internal/archtest", nil},
	{"internal/markdown", nil},
	{"internal/testvalues", nil},
	{"internal/filewatch", nil},
	{"internal/testmariadb", []string{"internal/testredis"}},
	{"internal/testredis", []string{"proc/redis/resp", "proc/redis/cluster"}},
	{"internal/chaos/restart/misbehave", []string{"hotrestart"}},
	{"internal/...", []string{"internal/..."}},
	{"api/...", []string{"api/..."}},

	// Configuration. It does not know who uses it.
	{"config/...", []string{"config/...", "api/...", "internal/..."}},

	// Procs. The contract does not know its implementations, and the
	// implementations do not know each other.
	{"proc", []string{"config/...", "api/...", "internal/..."}},
	{"proc/health", []string{"config", "api/...", "internal/..."}},
	{"proc/redis/command", []string{"proc/redis/resp", "proc/redis/cluster"}},
	{"proc/redis/...", []string{"proc", "proc/health", "proc/redis/...", "hotkey", "config", "api/...", "internal/..."}},
	{"proc/tcp/...", []string{"proc", "proc/health", "proc/tcp/...", "config", "api/...", "internal/..."}},

	// What owns procs, and what looks at them. The builders come from cmd.
	{"controller", []string{"config", "proc", "api/...", "internal/..."}},
	{"admin/...", []string{"admin/...", "controller", "proc", "config/...", "hotkey", "api/...", "internal/..."}},

	// Programs. Nobody imports them.
	{"cmd/...", []string{"..."}},
	{"bench/...", []string{"..."}},
	{"examples/...", []string{"..."}},
}

// forTests are the packages that only tests and the programs around the daemon
// may import.
var (
	forTests = []string{"internal/testredis/...", "internal/testmariadb", "internal/chaos/...", "internal/archtest", "internal/markdown", "internal/testvalues"}
	around   = []string{"internal/testredis/...", "internal/testmariadb", "internal/chaos/...", "bench/...", "examples/..."}
	programs = []string{"cmd/...", "bench/...", "examples/..."}
)

func TestEveryImportIsAllowedByItsLayer(t *testing.T) {
	for _, p := range readTree(t) {
		l, ok := layerOf(p.dir)
		if !assert.Truef(t, ok, "%s: no layer: give the package a line in graph_test.go", p.dir) {
			continue
		}
		for importPath, files := range p.imports {
			if dir, ok := ours(importPath); ok {
				assert.Truef(t, matchAny(l.may, dir), "%s: imports %s, which %s may not know", files[0], importPath, p.dir)
			}
		}
	}
}

func TestNobodyImportsPrograms(t *testing.T) {
	for _, p := range readTree(t) {
		for importPath, files := range p.imports {
			dir, ok := ours(importPath)
			if !ok || matchAny(programs, p.dir) && sameProgram(p.dir, dir) {
				continue
			}
			assert.Falsef(t, matchAny(programs, dir), "%s: imports %s, a part of a program", files[0], importPath)
		}
	}
}

func TestProductionCodeDoesNotImportTestSupport(t *testing.T) {
	for _, p := range readTree(t) {
		if matchAny(around, p.dir) {
			continue
		}
		for importPath, files := range p.imports {
			dir, _ := ours(importPath)
			assert.Falsef(t, matchAny(forTests, dir), "%s: imports %s, which is for tests", files[0], importPath)
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	for _, p := range readTree(t) {
		if !match("api/...", p.dir) { // generated: the .proto files are documented
			assert.Truef(t, p.doc, "%s: no package doc comment", p.dir)
		}
	}
}

// TestLayersCatchABreach keeps the table itself from going soft.
func TestLayersCatchABreach(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"proc/redis/resp", "internal/stats", false},
		{"hotkey", "proc/redis/resp", false},
		{"internal/eventloop", "internal/logging", false},
		{"internal/stats", "proc", false},
		{"config", "proc", false},
		{"config/dynamic", "config", true},
		{"proc", "config", true},
		{"proc", "proc/redis", false},
		{"proc/redis", "proc", true},
		{"proc/redis", "proc/tcp", false},
		{"proc/redis", "proc/health", true},
		{"proc/tcp", "proc/health", true},
		{"proc/health", "proc", false},
		{"config/dynamic", "proc", false},
		{"proc/redis", "hotrestart", false},
		{"proc/redis/filter", "hotkey", true},
		{"proc/tcp", "proc/redis/resp", false},
		{"controller", "proc/redis", false},
		{"controller", "admin", false},
		{"controller", "hotrestart", false},
		{"cmd/samaritan", "proc/redis", true},
	} {
		l, ok := layerOf(c.from)
		require.True(t, ok, c.from)
		assert.Equalf(t, c.allowed, matchAny(l.may, c.to), "%s imports %s", c.from, c.to)
	}
}

func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if match(l.pattern, dir) {
			return l, true
		}
	}
	return layer{}, false
}

func matchAny(patterns []string, dir string) bool {
	for _, pattern := range patterns {
		if match(pattern, dir) {
			return true
		}
	}
	return false
}

func match(pattern, dir string) bool {
	if pattern == "..." {
		return true
	}
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == base || strings.HasPrefix(dir, base+"/")
	}
	return dir == pattern
}

// sameProgram reports whether two directories belong to one program: the
// first two elements of their paths are the same, or both are in bench or in
// examples, which may show one another.
func sameProgram(a, b string) bool {
	return program(a) == program(b)
}

func program(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	if parts[0] == "bench" || parts[0] == "examples" || len(parts) == 1 {
		return parts[0]
	}
	return parts[0] + "/" + parts[1]
}
