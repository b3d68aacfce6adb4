package supervise

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// becomeSmall gives back what the start of the program took. The supervisor hardly allocates
// and is not in a hurry.
func becomeSmall() error {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(10)
	debug.FreeOSMemory()
	return dropCode()
}

// dropCode lets go of the pages of code: most of them served the initialization of packages
// that only the daemon uses. What is still needed comes back from the page cache, a page at a
// time. Code is never written to, so there is nothing to lose.
func dropCode() error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uintptr
		var mode string
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
			return fmt.Errorf("%s: %q: %w", maps.Name(), line, err)
		}
		if mode != "r-xp" || !strings.Contains(line, " /") {
			continue // not a file, or not code alone
		}
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); no != 0 {
			return fmt.Errorf("madvise of %q: %w", line, no)
		}
	}
	return lines.Err()
}
