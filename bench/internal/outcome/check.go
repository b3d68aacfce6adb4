package outcome

import (
	"errors"
	"fmt"

	"samaritan/internal/markdown"
)

// Verdict is what became of a bound.
type Verdict string

// All verdicts.
const (
	Pass     Verdict = "PASS"
	Fail     Verdict = "FAIL"
	Unsure   Verdict = "not sure"         // the median exceeds the bound, and may do so by chance
	TooShort Verdict = "too short to say" // after a quick run
)

// Judge is for bounds that are either kept or not.
func Judge(kept bool) Verdict {
	if kept {
		return Pass
	}
	return Fail
}

// Check is one bound and what was measured.
type Check struct {
	Name    string
	Bound   string
	Value   string
	Verdict Verdict
}

// Table lists every bound, and whether it was kept.
func Table(checks []Check) string {
	t := &markdown.Table{Left: 1}
	t.Add("bound", "wanted", "measured", "")
	for _, c := range checks {
		t.Add(c.Name, c.Bound, c.Value, string(c.Verdict))
	}
	return t.String()
}

// Summary counts bounds by what became of them. Those that were not judged are in none.
type Summary struct{ Kept, Missed, Unsure int }

// Summarize counts verdicts.
func Summarize(checks []Check) (s Summary) {
	for _, c := range checks {
		switch c.Verdict {
		case Pass:
			s.Kept++
		case Fail:
			s.Missed++
		case Unsure:
			s.Unsure++
		}
	}
	return s
}

// String says it in words.
func (s Summary) String() string {
	text := fmt.Sprintf("%d of %d bounds kept", s.Kept, s.Kept+s.Missed+s.Unsure)
	if s.Unsure > 0 {
		text += fmt.Sprintf(", %d not sure", s.Unsure)
	}
	return text
}

// ErrMissed says that not all bounds were kept.
var ErrMissed = errors.New("bounds not kept")

// Err is an ErrMissed when a bound was certainly missed.
func (s Summary) Err() error {
	if s.Missed == 0 {
		return nil
	}
	return fmt.Errorf("%w: %v", ErrMissed, s)
}
