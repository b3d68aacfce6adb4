package hotkey

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Report is what was hot when the last interval ended. It is not changed any more.
type Report struct {
	// Time is when it was made, Interval how long the last interval was, and Window how long all
	// intervals together were that keys are counted over. Both are as measured.
	Time     time.Time
	Interval time.Duration
	Window   time.Duration
	// Hits are those of all keys in the window, and QPS those per second of the last interval.
	Hits uint64
	QPS  float64
	// SampleRate is the share of the last interval's hits that were looked at, 1 for all.
	SampleRate float64
	// Tracked is how many keys are known, of which Keys are the hottest.
	Tracked int
	// Keys are the hottest by their hits in the window; behind them, as far as there is room,
	// those that were hot before.
	Keys []Key
	// SlotsByRequests and SlotsByBytes are the hottest hash slots of the last interval.
	SlotsByRequests []Slot
	SlotsByBytes    []Slot
	// Values are the largest values of the last hour, largest first.
	Values []Value
}

// Key is a hot key. Counts are estimates: the true number of hits in the window, at the
// places where the key was seen, is at most Error away from Count, plus, when only a sample was looked at, chance: in 95 of 100 cases
// that adds less than SamplingError.
type Key struct {
	Name          Name      `json:"key"`        // its first KeyMax bytes
	Length        int       `json:"key_length"` // of the whole key
	Hash          string    `json:"key_hash"`   // hexadecimal, the same as long as the process lives
	Slot          int       `json:"slot"`       // hash slot
	Node          string    `json:"node"`       // where most of its hits went
	Heat          uint8     `json:"counter"`    // logarithmic: grows with probability 1/(10*counter+1), halved for each idle minute
	QPS           float64   `json:"qps"`        // hits per second in the last interval
	Peak          float64   `json:"peak_qps"`   // the most of any interval since FirstSeen
	Count         uint64    `json:"count"`      // hits in the window
	Error         uint64    `json:"error"`      // see above
	SamplingError uint64    `json:"sampling_error"`
	NodeShare     float64   `json:"node_share"` // of the hits at Node in the window, 0 to 1
	Share         float64   `json:"share"`      // of all hits in the window
	Reads         uint64    `json:"reads"`      // of Count, by commands that only read
	Writes        uint64    `json:"writes"`     // of Count, the others
	Commands      []Part    `json:"commands"`   // most frequent first
	Clients       []Part    `json:"clients"`    // who sends them
	BytesIn       uint64    `json:"bytes_in"`   // of requests in the window
	BytesOut      uint64    `json:"bytes_out"`  // of replies
	FirstSeen     time.Time `json:"first_seen"`
	LastSeen      time.Time `json:"last_seen"`
}

// Part is one of several that share the hits of a key.
type Part struct {
	Name string `json:"name"`
	Hits uint64 `json:"hits"`
}

// Name is the name of a key, or the beginning of it. It may contain any bytes.
type Name []byte

// String is the name itself if it can be shown and does not begin with a quote, else in
// quotes with escapes as Redis shows it.
func (n Name) String() string {
	if len(n) == 0 || n[0] == '"' || !utf8.Valid(n) || containsUnprintable(string(n)) {
		return n.quoted()
	}
	return string(n)
}

// nameOf is what is shown of a key of that length, of which kept is the beginning. The
// beginning of a character in which a text was cut is left out.
func nameOf(kept []byte, length int) Name {
	n := Name(slices.Clone(kept))
	if length <= KeyMax {
		return n
	}
	for cut := 1; cut < utf8.UTFMax; cut++ {
		whole, rest := n[:len(n)-cut], n[len(n)-cut:]
		if utf8.RuneStart(rest[0]) && !utf8.FullRune(rest) && utf8.Valid(whole) {
			return whole
		}
	}
	return n
}

func (n Name) quoted() string {
	b := append(make([]byte, 0, len(n)+8), '"')
	for _, c := range n {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\a':
			b = append(b, `\a`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c < ' ' || c > '~':
			b = append(b, `\x`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

const hexDigits = "0123456789abcdef"

func containsUnprintable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}

// MarshalJSON gives String.
func (n Name) MarshalJSON() ([]byte, error) { return json.Marshal(n.String()) }

// hashText is how a key's hash is shown.
func hashText(hash uint64) string {
	s := strconv.FormatUint(hash, 16)
	return "0000000000000000"[len(s):] + s
}

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }
