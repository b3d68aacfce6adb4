package page

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/bench/internal/findings"
	"samaritan/bench/internal/outcome"
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

func TestTextHasEveryTable(t *testing.T) {
	r := results()
	text := Of(r, findings.About{}).Text
	for _, want := range []string{
		"| s = 0.99, 10,000/s ", "the same sample, counted exactly", "1 % of 10000/s", "| package hotkey", "9.0", "| 500000 |",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "%!") // a format that does not fit
	assert.NoError(t, outcome.Summarize(r.Checks()).Err())
	r.Cost = nil
	assert.NotContains(t, Of(r, findings.About{}).Text, "500000")
}

func TestTablesAreAligned(t *testing.T) {
	for table := range strings.SplitSeq(Of(results(), findings.About{}).Text, "\n\n") {
		lines := strings.Split(strings.TrimSpace(table), "\n")
		for _, line := range lines {
			assert.Len(t, []rune(line), len([]rune(lines[0])))
		}
	}
}

func TestDocumentAndItsPicturesAreSound(t *testing.T) {
	page := Of(results(), findings.About{})
	assert.NotContains(t, page.Markdown, "%!")
	assert.Len(t, page.Pictures, 4)
	for name, svg := range page.Pictures {
		assert.NoError(t, wellFormed(svg), name)
		assert.NotContains(t, svg, "NaN", name)
		assert.NotContains(t, svg, "Inf", name)
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
