package compress

import (
	"errors"
	"fmt"
	"math"
)

// An Algorithm says how the bytes behind the header are compressed. It is the fourth byte of
// the stored form.
type Algorithm uint8

// The algorithms that there are.
const (
	Snappy Algorithm = 0 // fast, a ratio of about 2 for JSON
	Zstd   Algorithm = 1 // some four times the CPU of Snappy, a ratio of about 3 for JSON
)

// Algorithms is how many algorithms there are: they are numbered from 0.
const Algorithms = 2

// HeaderLen is the length in bytes of what the stored form begins with.
const HeaderLen = len(magic) + 3

// magic begins every stored value; the algorithm, CR and LF follow.
const magic = "(P$"

// maxDecoded is what nothing may decode to more than, in bytes: the longest string that Redis
// stores by default (proto-max-bulk-len).
const maxDecoded = 512 << 20

// The kinds of errors; what is returned wraps one of them and says what is wrong.
var (
	// ErrCorrupt says that a value is not the stored form, or a damaged one.
	ErrCorrupt = errors.New("corrupt compressed value")
	// ErrTooLarge says that a value decodes to more bytes than the limits allow.
	ErrTooLarge = errors.New("compressed value decodes to too many bytes")
)

// String returns "snappy" or "zstd".
func (a Algorithm) String() string {
	switch a {
	case Snappy:
		return "snappy"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// Limits bound what a stored value may decode to. Both are above 0.
type Limits struct {
	Size  int // bytes of the decoded value; 512 MiB is the most, whatever Size says
	Ratio int // decoded bytes for each byte of the stored form, its header included
}

// most returns how many bytes a stored form of n bytes may decode to.
func (l Limits) most(n int) int {
	size := min(l.Size, maxDecoded)
	if l.Ratio < math.MaxInt/max(n, 1) {
		size = min(size, l.Ratio*n)
	}
	return size
}

// Detect tells whether v begins like the stored form, and with which algorithm. The rest of v
// may still be anything: [DecodedLen] tells.
func Detect(v []byte) (Algorithm, bool) {
	if len(v) < HeaderLen || string(v[:3]) != magic || v[3] >= Algorithms || v[4] != '\r' || v[5] != '\n' {
		return 0, false
	}
	return Algorithm(v[3]), true
}

func appendHeader(dst []byte, a Algorithm) []byte {
	return append(append(dst, magic...), byte(a), '\r', '\n')
}

// Bound returns how many bytes [Codec.Append] needs for the stored form of n bytes: no stored
// form is longer, and Append does not allocate when it finds that much room.
func Bound(a Algorithm, n int) int {
	if a == Zstd {
		return HeaderLen + zstdBound(n)
	}
	return HeaderLen + snappyBound(n)
}

// DecodedLen returns how many bytes the stored value v decodes to. It reads headers only and
// takes no memory; v may turn out to be corrupt all the same when it is decoded.
//
// The error wraps [ErrCorrupt] if v is not the stored form or its headers contradict each
// other, and [ErrTooLarge] if there are more bytes than lim allows.
func DecodedLen(v []byte, lim Limits) (int, error) {
	a, ok := Detect(v)
	if !ok {
		return 0, corrupt("no header of a known algorithm")
	}
	if a == Zstd {
		return zstdLen(v[HeaderLen:], lim.most(len(v)))
	}
	return snappyLen(v[HeaderLen:], lim.most(len(v)))
}

// maxIdle is how many chunks or blocks that decode to nothing a stream may have, and one more for each KiB. No
// writer makes more than a few; they cost time.
const maxIdle = 16

func mostIdle(stream []byte) int { return maxIdle + len(stream)/1024 }

// fault is an error whose text is made when somebody reads it: a reply may have a million broken values, and the log
// has lines for few of them.
type fault struct {
	kind   error // ErrCorrupt or ErrTooLarge
	format string
	args   [3]int
	n      int // of args
}

func newFault(kind error, format string, args []int) *fault {
	f := &fault{kind: kind, format: format}
	f.n = copy(f.args[:], args)
	return f
}

func (f *fault) Unwrap() error { return f.kind }

// Error implements error.
func (f *fault) Error() string {
	args := make([]any, f.n)
	for i := range args {
		args[i] = f.args[i]
	}
	return f.kind.Error() + ": " + fmt.Sprintf(f.format, args...)
}

func corrupt(format string, args ...int) error { return newFault(ErrCorrupt, format, args) }

func tooLarge(n uint64, most int) error {
	const format = "at least %d, at most %d are allowed"
	return newFault(ErrTooLarge, format, []int{int(min(n, math.MaxInt)), most})
}
