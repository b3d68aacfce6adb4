package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStoppedNodeDoesNotStallOthers is the short form of chaos -isolation. It notices stalls, not
// the percents, as it shares its machine with other tests.
func TestStoppedNodeDoesNotStallOthers(t *testing.T) {
	results, err := MeasureIsolation(t.Context(), IsolationOptions{
		Samaritan: buildSamaritan(t), Dir: t.TempDir(), Pairs: 1, Window: 500 * time.Millisecond,
		Want: func(name string) bool { return name == "stopped" || name == "set-100MB-paced" },
	})
	require.NoError(t, err)
	require.Len(t, results, 2)
	for i := range results {
		r := &results[i]
		t.Logf("\n%s\n%s", IsolationHeader, r.Lines())
		for _, g := range r.Groups[:Same] {
			assert.Greaterf(t, g.Throughput, 0.5, "%s: %v", r.Name, g.Group)
			assert.Zerof(t, g.Errors, "%s: %v: %s", r.Name, g.Group, g.Err)
			// What is slow in the calm is so for want of a processor.
			assert.Lessf(t, g.Hurt.P50, 50*time.Millisecond+10*g.Calm.P50, "%s: %v", r.Name, g.Group)
		}
	}
	assert.Less(t, results[0].Groups[Same].Throughput, 0.5, "the node was not stopped")
	assert.Positive(t, results[1].Bulk, "the bulk client did nothing")
}

func TestPacerCountsFromTheIntendedTime(t *testing.T) {
	tape := &tape{}
	c := &paced{interval: 10, depth: 1, due: 100, frames: [][]byte{[]byte("x")}, batch: 1, last: 90}
	c.push()
	require.NoError(t, c.answered(tape, 0, 135, ""))
	c.push() // was to be sent at 110
	require.NoError(t, c.answered(tape, 0, 136, "ERR no"))
	assert.Equal(t, []int64{35, 26}, tape.latencies)
	assert.EqualValues(t, 45, tape.gap)
	assert.Equal(t, 1, tape.ok)
	assert.Equal(t, 1, tape.errors)
	assert.EqualValues(t, 120, c.due)
}

func TestPacerCountsWhatItSkips(t *testing.T) {
	tape := &tape{}
	c := &paced{interval: 10, depth: 1, due: 100, frames: [][]byte{[]byte("x")}, batch: 1, skip: true}
	c.push()
	require.NoError(t, c.answered(tape, 0, 135, ""))
	assert.Equal(t, []int64{35, 25, 15}, tape.latencies)
	assert.EqualValues(t, 130, c.due)
	require.Error(t, c.answered(tape, 0, 140, ""), "nobody asked")
}

func TestPacerCountsWhatIsNotAnsweredInTheWindow(t *testing.T) {
	c := &paced{interval: 10, depth: 1, due: 110, batch: 1, flights: []sent{{due: 100, replies: 1}}, last: 90}
	p := &pacer{clients: []*paced{c}}
	w := &window{}
	p.finish(w, 95, 125)
	assert.Equal(t, []int64{25, 15, 5}, w.groups[Single].latencies)
	assert.EqualValues(t, 35, w.groups[Single].gap)
}

func TestOneReply(t *testing.T) {
	for _, c := range []struct {
		in      string
		size    int
		failure string
		bad     bool
	}{
		{in: ""},
		{in: "+O"},
		{in: "$3\r\nab"},
		{in: "$3\r\nabc\r"},
		{in: "+OK\r\n+", size: 5},
		{in: ":1\r\n", size: 4},
		{in: "$3\r\nabc\r\n$", size: 9},
		{in: "$-1\r\n", size: 5},
		{in: "-ERR no\r\n", size: 9, failure: "ERR no"},
		{in: "$x\r\n", bad: true},
		{in: "$-2\r\n", bad: true},
		{in: "$99999999\r\n", bad: true},
		{in: "*1\r\n", bad: true},
	} {
		size, failure, err := oneReply([]byte(c.in))
		assert.Equal(t, c.bad, err != nil, c.in)
		assert.Equal(t, c.size, size, c.in)
		assert.Equal(t, c.failure, failure, c.in)
	}
}

func TestIsolationSummary(t *testing.T) {
	one := func(ok int, latency, busy int64) view {
		v := view{window: &window{took: time.Second}, rss: busy << 20, busy: float64(busy) / 100}
		v.groups[Single] = tape{latencies: []int64{latency, latency}, ok: ok, gap: latency}
		return v
	}
	i := summary(scenario{name: "a", wire: "b"}, [][2]view{
		{one(100, 10, 10), one(90, 20, 95)},
		{one(100, 10, 10), one(95, 30, 95)},
		{one(100, 10, 10), one(10, 900, 99)},
	})
	g := i.Groups[Single]
	assert.InDelta(t, 0.9, g.Throughput, 0.001)
	assert.InDelta(t, 3, g.P99Ratio, 0.001)
	assert.EqualValues(t, 30, g.Hurt.P99)
	assert.EqualValues(t, 900, g.Hurt.Max)
	assert.EqualValues(t, 900, g.GapHurt)
	assert.EqualValues(t, 99<<20, i.RSSMax)
	assert.True(t, i.Saturated())
	assert.Contains(t, i.Lines(), "SATURATED")
}

func TestIsolationIsComparedWithTheWire(t *testing.T) {
	results := []Isolation{{Name: "a", Wire: "b"}, {Name: "b"}, {Name: "c", Wire: "away"}}
	results[0].Groups[Single].P99Ratio, results[1].Groups[Single].P99Ratio = 3, 2
	assert.Equal(t, "1.50", results[0].against(Single, results))
	assert.Equal(t, "-", results[1].against(Single, results))
	assert.Equal(t, "-", results[2].against(Single, results))
	assert.Contains(t, WireLines(results), "others 1.50")
}

func TestScenariosAreComparedWithOnesThatExist(t *testing.T) {
	names := map[string]bool{"": true}
	for _, s := range scenarios() {
		assert.False(t, names[s.name], s.name)
		names[s.name] = true
	}
	for _, s := range scenarios() {
		assert.True(t, names[s.wire], s.wire)
	}
}

func TestIsolationTableGoesBetweenItsMarkers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, DocsPage)
	text := IsolationMarkdown(About{}, IsolationOptions{Pairs: 1}, []Isolation{{Name: "stopped", Help: "a|b"}})
	require.Error(t, WriteIsolationDocs(dir, text), "no page")
	require.NoError(t, os.WriteFile(path, []byte("no markers"), 0o600))
	require.Error(t, WriteIsolationDocs(dir, text))
	before, after := "# Title\n\n"+isolationBegin, isolationEnd+"\n\nmore\n"
	require.NoError(t, os.WriteFile(path, []byte(before+"old"+after), 0o600))
	for range 2 {
		require.NoError(t, WriteIsolationDocs(dir, text))
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(page), before) && strings.HasSuffix(string(page), after))
		assert.Equal(t, 1, strings.Count(string(page), "| stopped | a\\|b |"))
		assert.NotContains(t, string(page), "old")
	}
}
