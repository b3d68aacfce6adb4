package page

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/bench/internal/outcome"
	"samaritan/internal/markdown"
)

// results has a little of everything.
func results() *trial.Results {
	score := trial.Score{Precision: 1, Within: 1, SampleRate: 1}
	grown := trial.Moments{Runs: 2, Mean: 14, Spread: 2}
	spread := []trial.Spread{{True: 100, Count: 104, Error: 5}, {True: 50, Count: 80, Error: 1}}
	return &trial.Results{
		Accuracy: []trial.Accuracy{
			{Load: trial.Load{Exponent: 0.99, PerSecond: 10_000}, Scores: []trial.Score{score}},
			{Load: trial.Load{PerSecond: 50_000, Late: true}, Scores: []trial.Score{score}, Spread: spread},
			{Load: trial.Load{Exponent: 0.99, PerSecond: 500_000}, Scores: []trial.Score{score}, Ideal: []trial.Score{score}, Spread: spread},
		},
		Bursts: []trial.Burst{{Share: 0.01, Offset: 5 * time.Second, Load: trial.Load{PerSecond: 10_000}, Seen: []trial.BurstSeen{
			{Due: 1, Listed: 1, After: 5 * time.Second, True: 500, Count: 505, Within: true},
		}}},
		Decay:   trial.Decay{Keys: []trial.Cooling{{Name: "k", Readings: []trial.Reading{{Counter: 9}, {At: time.Minute, Counter: 4}}}}},
		Growths: []trial.Growth{{Hits: 1000, Whole: grown, Parts: grown, Reference: grown}},
		Contests: []trial.Contest{{Stream: "s < 1", Hits: 1_000_000, Entrants: []trial.Entrant{
			{Name: trial.Subject, Precision: 1, Recall: 1, PerHit: 45, Bytes: 300 << 10}, {Name: "another", PerHit: 90},
		}}},
		Cost: &trial.Cost{
			Rates:   []trial.RateCost{{PerSecond: 500_000, Sample: 0.05, Single: trial.Timing{PerHit: 9, Low: 8, High: 10}}},
			Merges:  []trial.MergeCost{{Nodes: 3, Add: time.Millisecond, Merge: time.Millisecond}},
			Counter: 300 << 10,
		},
	}
}

func TestTextHasEveryTableAndEveryBound(t *testing.T) {
	r := results()
	text := Text(r)
	for _, want := range []string{
		"| s = 0.99, 10,000/s ", "the same sample, counted exactly", "1 % of 10000/s", "| package hotkey", "9.0", "| 500000 |",
	} {
		assert.Contains(t, text, want)
	}
	for _, c := range r.Checks() {
		assert.Contains(t, text, c.Name)
	}
	assert.Contains(t, text, "PASS")
	assert.NotContains(t, text, "%!") // a format that does not fit
	assert.NoError(t, outcome.Summarize(r.Checks()).Err())
	r.Cost = nil
	assert.NotContains(t, Text(r), "500000")
}

func TestTablesAreAligned(t *testing.T) {
	for table := range strings.SplitSeq(Text(results()), "\n\n") {
		lines := strings.Split(strings.TrimSpace(table), "\n")
		for _, line := range lines {
			assert.Len(t, []rune(line), len([]rune(lines[0])))
		}
	}
}

func TestWriteReplacesWhatIsBetweenTheMarkers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, docsPage)
	require.NoError(t, os.WriteFile(path, []byte("# Head\n"+docsBegin+"\nold\n"+docsEnd+"\ntail\n"), 0o600))
	for range 2 { // the second finds what the first has written
		require.NoError(t, Write(dir, outcome.About{Machine: "a machine"}, results()))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "# Head\n"+docsBegin+"\n\nMeasured"))
	assert.True(t, strings.HasSuffix(string(text), docsEnd+"\ntail\n"))
	assert.NotContains(t, string(text), "old")
	assert.NotContains(t, string(text), "%!")
	for _, name := range []string{"accuracy", "comparison", "decay", "counter"} {
		svg, err := os.ReadFile(filepath.Join(dir, "hotkeys-"+name+".svg"))
		require.NoError(t, err)
		assert.NoError(t, wellFormed(string(svg)), name)
		assert.NotContains(t, string(svg), "NaN", name)
		assert.NotContains(t, string(svg), "Inf", name)
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestAPageWithoutMarkersIsLeftAlone(t *testing.T) {
	for _, page := range []string{"", docsBegin, docsEnd + docsBegin, docsBegin + docsEnd + docsBegin} {
		dir := t.TempDir()
		path := filepath.Join(dir, docsPage)
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
		require.ErrorIs(t, Write(dir, outcome.About{}, results()), markdown.ErrMarkers)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, page, string(text))
	}
	require.ErrorIs(t, Write(t.TempDir(), outcome.About{}, results()), os.ErrNotExist)
}
