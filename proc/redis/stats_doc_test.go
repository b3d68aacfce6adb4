package redis

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/internal/stats"
	"samaritan/proc"
	"samaritan/proc/redis/command"
)

// documented returns the names in the first column of the tables of a page, as far as
// they begin with one of the prefixes.
func documented(t *testing.T, page string, prefixes ...string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m[1], p) }) {
			names = append(names, m[1])
		}
	}
	return names
}

// emitted returns the names of all samples of a service that has served a command,
// with "<command>" for the command, and "<algorithm>" for one of compression.
func emitted(t *testing.T) []string {
	t.Helper()
	svc, err := config.NewService("test", proxyOptions{}.config(), nil)
	require.NoError(t, err)
	loops, err := eventloop.NewGroup(1)
	require.NoError(t, err)
	t.Cleanup(loops.Pick().Close)
	built, err := New(svc, proc.Env{Log: slog.New(slog.DiscardHandler), Loops: loops, Drain: time.Second})
	require.NoError(t, err)

	var names []string
	collect := func(s stats.Sample) {
		name := s.Name
		if s.Command != "" {
			name = strings.Replace(name, "redis.", "redis.<command>.", 1)
		}
		name = algorithms.Replace(name)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	built.Stats(collect)
	w := newWorker(built.(*Proc), loops.Pick())
	w.stats.count(pingInfo).total++
	w.snapshot().emitTo(emitter{service: "test", emit: collect})
	return names
}

var algorithms = strings.NewReplacer(
	"compression.snappy.", "compression.<algorithm>.",
	"compression.zstd.", "compression.<algorithm>.",
)

func TestEveryStatOfAServiceIsDocumented(t *testing.T) {
	assert.ElementsMatch(t, emitted(t), documented(t, "../../docs/stats.md", "downstream.", "upstream.", "redis.", "rq_slow_total", "hotkeys.", "compression."))
}

// The command table says who is to answer; this is which answers are still missing.
func TestCommandsThatAreNotWrittenYetAreDocumented(t *testing.T) {
	var missing []string
	for id := range command.Count() {
		i := command.ByID(uint16(id))
		callable := !i.Container() || i.Arity == -1
		if i.Handling == command.Local && callable && localTable[id] == nil {
			missing = append(missing, strings.ToUpper(strings.ReplaceAll(i.Name, "|", " ")))
		}
	}
	page, err := os.ReadFile("../../docs/commands.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "<!-- not-written:begin -->")
	require.True(t, ok)
	list, _, ok := strings.Cut(rest, "<!-- not-written:end -->")
	require.True(t, ok)
	var listed []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		listed = append(listed, m[1])
	}
	assert.ElementsMatch(t, missing, listed)
}

// An operator finds every line that a service may log in the table.
func TestEveryLogLineIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	logged := regexp.MustCompile(`\.(?:Info|Warn|Error)\("([^":]+)`)
	found := 0
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range logged.FindAllStringSubmatch(string(source), -1) {
			found++
			assert.Truef(t, strings.Contains(string(page), "`"+m[1]), "%s logs %q: give it a line in docs/operations.md", name, m[1])
		}
	}
	assert.Greater(t, found, 10)
}
