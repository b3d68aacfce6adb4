package outcome

import (
	"fmt"
	"runtime"
	"time"

	"samaritan/bench/internal/child"
)

// About says when, where and how much was measured.
type About struct {
	Date    time.Time
	Machine string
	Extent  string // such as "15 rounds"
}

// Here is now, on this machine.
func Here(extent string) About {
	return About{
		Date: time.Now(), Extent: extent,
		Machine: fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), child.CPUModel(), runtime.Version()),
	}
}

// Head is the paragraph above the tables of a page. took is the whole run.
func (a About) Head(took time.Duration, checks []Check) string {
	return fmt.Sprintf("Measured %s in %v on %s, %s: %v.\n\n",
		a.Date.UTC().Format(time.DateOnly), took.Round(time.Second), a.Machine, a.Extent, Summarize(checks))
}
