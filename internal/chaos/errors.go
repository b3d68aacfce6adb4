package chaos

import (
	"regexp"
	"strings"
)

// certainErrors begin the errors that say that the command was not executed.
var certainErrors = regexp.MustCompile(`^(MOVED|ASK|TRYAGAIN|CROSSSLOT|CLUSTERDOWN|LOADING|READONLY|MASTERDOWN|OOM|MISCONF) ` +
	`|^ERR samaritan: node \S+ is not reachable` +
	`|^ERR samaritan: the slot map of the cluster is not known`)

// certain reports whether an error reply says that the command was not executed. All
// other errors leave it open.
func certain(text string) bool { return certainErrors.MatchString(text) }

var (
	addrPattern   = regexp.MustCompile(`\[?[0-9a-fA-F:.]*[0-9.]+\]?:\d+`)
	keyPattern    = regexp.MustCompile(`[a-z0-9]+:\{\S*`)
	numberPattern = regexp.MustCompile(`\b\d+(\.\d+)?`)
)

// kindWords is how many words of an error make its kind.
const kindWords = 9

// kindOf is the beginning of a text without keys, addresses and numbers, so that alike
// errors count as one.
func kindOf(text string) string {
	text = keyPattern.ReplaceAllString(text, "K")
	text = addrPattern.ReplaceAllString(text, "A")
	text = numberPattern.ReplaceAllString(text, "N")
	words := strings.Fields(text)
	return strings.Join(words[:min(len(words), kindWords)], " ")
}
