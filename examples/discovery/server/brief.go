package server

import (
	"fmt"
	"strings"
)

// maxBrief is how many names a log line has.
const maxBrief = 5

// brief is a list of names for a log line.
func brief(names []string) string {
	if len(names) <= maxBrief {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxBrief], " "), len(names)-maxBrief)
}
