package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/markdown"
)

// sample is a result with everything in it.
func sample() Result {
	return Result{
		Name: "failover", Help: "A replica | takes over.", Requests: 12345, Errors: 7,
		Kinds:   []Kind{{Name: "ERR samaritan: node A timed out", Count: 5}, {Name: "MOVED N A", Count: 2}},
		Touched: 1, Untouched: 2, GapTouched: 1234 * time.Millisecond, GapUntouched: 4200 * time.Microsecond,
		P99Untouched: 900 * time.Microsecond, Recovery: 15 * time.Millisecond,
	}
}

func TestConsoleLine(t *testing.T) {
	r := sample()
	line := r.Line()
	for _, part := range []string{"failover ", " 12345 ", " 7 ", " 1234 ms ", " 4.2 ms ", " 0.9 ms ", " 15 ms ", " - ", " ok ", "(5 ERR samaritan: node A timed out)"} {
		assert.Contains(t, line, part)
	}
	r.Violations = []string{"a", "b"}
	assert.Contains(t, r.Line(), "2 VIOLATIONS")
	assert.False(t, r.OK())
	assert.NotContains(t, line, "\n")
	assert.NotContains(t, r.Line(), "Redis itself")
	r.OwnRounds = 1
	assert.Contains(t, r.Line(), "2 VIOLATIONS; rounds lost by Redis itself: 1")
}

func TestShardsThatAreNotThereHaveNoFigures(t *testing.T) {
	r := Result{Untouched: Shards, GapUntouched: time.Second}
	assert.Equal(t, "-", r.gapTouched())
	assert.Equal(t, "1000 ms", r.gapUntouched())
	r = Result{Touched: Shards, GapTouched: time.Second}
	assert.Equal(t, "1000 ms", r.gapTouched())
	assert.Equal(t, "-", r.gapUntouched())
	assert.Equal(t, "-", r.p99())
}

func TestMarkdownTable(t *testing.T) {
	a := About{Started: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Duration: 61 * time.Second, Version: "samaritan v1", Redis: "Redis 7.0.15", Machine: "2 cores", Seed: 42, Scale: 3, Clients: 12, Rounds: 2}
	text := Markdown(a, []Result{sample(), {Name: "calm"}})
	for _, part := range []string{"2026-05-04", "1m1s", "samaritan v1", "Redis 7.0.15", "2 cores", "seed 42", "2 rounds", "scale 3", `A replica \| takes over.`, "`ERR samaritan: node A timed out`", "| calm |"} {
		assert.Contains(t, text, part)
	}
	columns := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns == 0 {
			columns = n
		}
		assert.Equal(t, columns, n, line)
	}
}

func TestWhatRedisItselfHasLostIsBelowTheTable(t *testing.T) {
	r := sample()
	assert.NotContains(t, Markdown(About{}, []Result{r}), "Redis itself")
	r.Own, r.OwnRounds = []OwnLoss{{Node: "127.0.0.1:7000", Slot: 5568, Had: 18, Has: 2, By: byReplica}}, 1
	text := Markdown(About{}, []Result{r})
	assert.Contains(t, text, "| ok; rounds lost by Redis itself: 1 |\n\n"+
		"- failover: lost by Redis itself: slot 5568 at 127.0.0.1:7000: 2 of 18 keys are left, by comparison with its replica\n")
}

func TestDocsKeepTheTextAround(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, DocsPage)
	before, after := "# Title\n\ntext\n\n"+docsBegin, docsEnd+"\n\nmore\n"
	require.NoError(t, os.WriteFile(path, []byte(before+"old\n"+after), 0o600))
	for range 2 { // the second time replaces the first
		require.NoError(t, WriteDocs(dir, About{}, []Result{sample()}))
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		text := string(page)
		assert.True(t, strings.HasPrefix(text, before+"\n\n"))
		assert.True(t, strings.HasSuffix(text, "\n\n"+after))
		assert.NotContains(t, text, "old")
		assert.Equal(t, 1, strings.Count(text, "| failover |"))
	}
}

func TestDocsWithoutAPlaceAreLeftAlone(t *testing.T) {
	for _, page := range []string{"", docsBegin, docsEnd + docsBegin, docsBegin + docsEnd + docsEnd} {
		dir := t.TempDir()
		path := filepath.Join(dir, DocsPage)
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
		assert.ErrorIs(t, WriteDocs(dir, About{}, nil), markdown.ErrMarkers)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, page, string(got))
	}
	assert.ErrorIs(t, WriteDocs(t.TempDir(), About{}, nil), os.ErrNotExist)
}

func TestWorstOfSeveralRounds(t *testing.T) {
	first, second := sample(), sample()
	first.Own, first.OwnRounds = []OwnLoss{{Slot: 1}}, 1
	second.Own, second.OwnRounds = []OwnLoss{{Slot: 2}, {Slot: 3}}, 1
	second.Errors, second.Kinds, second.GapUntouched, second.Violations = 9, []Kind{{Name: "other"}}, time.Second, []string{"bad"}
	all := Worst([]Result{first, {Name: "calm"}}, []Result{second})
	require.Len(t, all, 2)
	r := all[0]
	assert.Equal(t, "failover", r.Name)
	assert.Equal(t, 2*12345, r.Requests)
	assert.Equal(t, 16, r.Errors)
	assert.Equal(t, "other", r.Kinds[0].Name)
	assert.Equal(t, time.Second, r.GapUntouched)
	assert.Equal(t, []string{"bad"}, r.Violations)
	assert.Len(t, r.Own, 3)
	assert.Equal(t, 2, r.OwnRounds)
	assert.Equal(t, "calm", all[1].Name)
}

func TestErrorsOfUntouchedShardsAreViolations(t *testing.T) {
	for _, c := range []struct {
		name     string
		shards   uint8
		affected uint8
		bad      bool
	}{
		{"touched", bit(0), bit(0), false},
		{"untouched", bit(1), bit(0), true},
		{"over both", bit(0) | bit(1), bit(0), false},
		{"of the daemon itself", 0, allShards, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var y tally
			y.reset()
			b := y.begin()
			b.fail("ERR x", c.shards)
			y.end(&b)
			var r Result
			y.fill(&r, c.affected)
			assert.Equal(t, c.bad, !r.OK(), r.Violations)
			assert.Equal(t, 1, r.Errors)
		})
	}
}

func TestErrorsAfterTheRecoveryAreViolations(t *testing.T) {
	var y tally
	y.reset()
	early := y.begin()
	y.recover()
	late := y.begin()
	early.fail("ERR early", bit(0))
	late.fail("ERR late", bit(0))
	y.end(&early)
	y.end(&late)
	var r Result
	y.fill(&r, allShards)
	assert.Equal(t, []string{`1 errors after the recovery, such as "ERR late"`}, r.Violations)
}

func TestViolationsAreBounded(t *testing.T) {
	var y tally
	y.reset()
	for i := range 5 {
		y.violation("client %d: INCR counter:{x}:%d: alike", i, i)
	}
	for i := range mostViolations {
		y.violation("other %s", strings.Repeat("x", i))
	}
	var r Result
	y.fill(&r, 0)
	require.Len(t, r.Violations, mostViolations+1)
	assert.Equal(t, "other ", r.Violations[mostAlike])
	assert.Equal(t, "and 5 more", r.Violations[mostViolations])
}

func TestExcessOfUsage(t *testing.T) {
	calm := usage{rss: 20 << 20, fds: 18, goroutines: 30, clients: 15, nodes: 12}
	for _, c := range []struct {
		name string
		u    usage
		want string
	}{
		{"the same", calm, ""},
		{"within the limits", usage{rss: 50 << 20, fds: 18 + fdExtra, goroutines: 30 + goroutineExtra, clients: 15, nodes: nodeConnections}, ""},
		{"memory", usage{rss: 51 << 20, fds: 18, goroutines: 30, clients: 15}, "memory: 51 MiB"},
		{"descriptors", usage{fds: 19 + fdExtra, clients: 15}, "descriptors"},
		{"goroutines", usage{goroutines: 31 + goroutineExtra, clients: 15}, "goroutines"},
		{"a session too many", usage{clients: 16}, "16 connections of clients"},
		{"a session too few", usage{clients: 14}, "14 connections of clients"},
		{"node connections", usage{clients: 15, nodes: nodeConnections + 1}, "connections to nodes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := c.u.excess(calm, 15)
			if c.want == "" {
				assert.Empty(t, bad)
				return
			}
			require.Len(t, bad, 1)
			assert.Contains(t, bad[0], c.want)
		})
	}
}
