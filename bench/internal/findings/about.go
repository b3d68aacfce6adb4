package findings

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
