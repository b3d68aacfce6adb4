package command

import (
	"math"
	"strconv"

	"samaritan/proc/redis/resp"
)

// Error is an error of key extraction. Its text is what Redis' COMMAND GETKEYS answers after "ERR ".
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// The errors of Keys and GetKeys.
const (
	ErrNoKeys      Error = "The command has no key arguments"
	ErrInvalidArgs Error = "Invalid arguments specified for command"
	ErrArity       Error = "Invalid number of arguments specified for command"
)

// finder is how a command's keys are found for routing. Redis Cluster nodes do the same by the
// legacy triple or by a function of the command, not by the key specs.
type finder uint8

const (
	findNone    finder = iota
	findRange          // the legacy triple
	findCounted        // a number of keys, then the keys: EVAL, ZUNION, LMPOP, MSETEX
	findStore          // a destination at 1, a number of keys, the keys: ZUNIONSTORE
	findSort           // a key at 1, perhaps a STORE somewhere
	findGeo            // a key at 1, perhaps STORE or STOREDIST somewhere
	findMigrate        // a key at 3, or if that is empty the keys behind KEYS
	findStreams        // behind STREAMS; the second half is IDs
)

// finderOf chooses the finder by the name where the specs do not tell, by the specs otherwise.
func finderOf(i *Info) finder {
	switch i.Name {
	case "sort":
		return findSort
	case "georadius", "georadiusbymember":
		return findGeo
	case "migrate":
		return findMigrate
	case "xread", "xreadgroup":
		return findStreams
	}
	switch n := len(i.Specs); {
	case n == 0:
		return findNone
	case i.Specs[n-1].Find != FindKeyNum:
		return findRange
	case n == 1:
		return findCounted
	default:
		return findStore
	}
}

// Keys appends the argument indices of a request's keys to dst: those that decide the slot, as a
// cluster node sees them. So the channel of SPUBLISH is one of them. args[0] is the command's name,
// for a subcommand args[1] is the subcommand's; i is what Resolve returned for them.
//
// It is made for routing and does not judge. Without any key it returns one of these, and the
// request goes to any node, which answers what Redis answers:
//   - no error: the command takes keys but needs none (EVAL with numkeys 0, also a bad numkeys);
//   - ErrInvalidArgs: the command needs keys, but cannot have any with these arguments;
//   - ErrNoKeys: the command never has keys.
//
// This holds for a bad numkeys in particular: like a cluster node, Keys reads numkeys as C's atoi
// does and finds no keys when it is below 1 or more than there are arguments; the node that executes
// the command then has the exact error (they differ by command and Redis version).
//
// Keys does not allocate while dst has room. It needs no arity check before, never panics on any
// arguments that lie in frame, and appends only indices below len(args).
func (i *Info) Keys(dst []int, frame []byte, args []resp.Arg) ([]int, error) {
	if k := int(i.SimpleKey); k != 0 && k < len(args) {
		return append(dst, k), nil
	}
	return i.manyKeys(dst, frame, args)
}

func (i *Info) manyKeys(dst []int, frame []byte, args []resp.Arg) ([]int, error) {
	before := len(dst)
	switch i.finder {
	case findNone:
		return dst, ErrNoKeys
	case findRange:
		dst = i.keysInRange(dst, len(args))
	default:
		dst = i.keysByFunction(dst, frame, args)
	}
	return dst, i.checkFound(len(dst) - before)
}

func (i *Info) checkFound(found int) error {
	if found == 0 && !i.Flags.Has(NoMandatoryKeys) {
		return ErrInvalidArgs
	}
	return nil
}

// keysInRange finds nothing when a fixed range is longer than the request.
func (i *Info) keysInRange(dst []int, argc int) []int {
	last := i.LastKey
	if last < 0 {
		last += argc
	} else if last >= argc {
		return dst
	}
	for k := i.FirstKey; k <= last; k += i.Step {
		dst = append(dst, k)
	}
	return dst
}

// keysByFunction is for what a range cannot express.
func (i *Info) keysByFunction(dst []int, frame []byte, args []resp.Arg) []int {
	switch i.finder {
	case findCounted:
		return i.keysCounted(dst, frame, args)
	case findStore:
		before := len(dst)
		dst = append(dst, 1)
		if dst = i.keysCounted(dst, frame, args); len(dst) == before+1 {
			return dst[:before]
		}
		return dst
	case findSort:
		return keysOfSort(dst, frame, args)
	case findGeo:
		return keysOfGeo(dst, frame, args)
	case findMigrate:
		return keysOfMigrate(dst, frame, args)
	default:
		return keysOfStreams(dst, frame, args)
	}
}

func (i *Info) keysCounted(dst []int, frame []byte, args []resp.Arg) []int {
	s := &i.Specs[len(i.Specs)-1]
	if s.Index >= len(args) {
		return dst
	}
	first := s.Index + s.FirstKey
	num := atoi(argument(frame, args[s.Index]))
	if num < 1 || num > (len(args)-first)/s.KeyStep {
		return dst
	}
	for k := range num {
		dst = append(dst, first+k*s.KeyStep)
	}
	return dst
}

// keysOfSort takes the last STORE, as SORT does. What follows LIMIT, GET and BY is skipped; what
// follows STORE is not, so that in a (bad) STORE STORE x the second one counts.
func keysOfSort(dst []int, frame []byte, args []resp.Arg) []int {
	if len(args) < 2 {
		return dst
	}
	store := 0
	for k := 2; k < len(args); k++ {
		switch a := argument(frame, args[k]); {
		case isWord(a, "limit"):
			k += 2
		case isWord(a, "get"), isWord(a, "by"):
			k++
		case isWord(a, "store") && k+1 < len(args):
			store = k + 1
		}
	}
	if dst = append(dst, 1); store != 0 {
		dst = append(dst, store)
	}
	return dst
}

// keysOfGeo takes the last of STORE and STOREDIST.
func keysOfGeo(dst []int, frame []byte, args []resp.Arg) []int {
	if len(args) < 2 {
		return dst
	}
	store := 0
	for k := 5; k+1 < len(args); k++ {
		if a := argument(frame, args[k]); isWord(a, "store") || isWord(a, "storedist") {
			k++
			store = k
		}
	}
	if dst = append(dst, 1); store != 0 {
		dst = append(dst, store)
	}
	return dst
}

// keysOfMigrate finds the one key, or the many behind KEYS if the place of the one is empty.
func keysOfMigrate(dst []int, frame []byte, args []resp.Arg) []int {
	if len(args) < 4 {
		return dst
	}
	for k := 6; k < len(args); k++ {
		switch a := argument(frame, args[k]); {
		case isWord(a, "keys"):
			if args[3].Len > 0 {
				return dst
			}
			for k++; k < len(args); k++ {
				dst = append(dst, k)
			}
			return dst
		case isWord(a, "auth"):
			k++
		case isWord(a, "auth2"):
			k += 2
		}
	}
	return append(dst, 3)
}

// keysOfStreams finds nothing unless there are as many IDs as keys.
func keysOfStreams(dst []int, frame []byte, args []resp.Arg) []int {
	streams, _ := streamOptions(frame, args)
	n := len(args) - streams - 1
	if streams == 0 || n%2 != 0 {
		return dst
	}
	for k := range n / 2 {
		dst = append(dst, streams+1+k)
	}
	return dst
}

// streamOptions walks the options of XREAD and XREADGROUP. It returns where STREAMS is (0 if it does
// not come or an unknown word comes first) and whether BLOCK was seen up to there.
func streamOptions(frame []byte, args []resp.Arg) (streams int, block bool) {
	for k := 1; k < len(args); k++ {
		switch a := argument(frame, args[k]); {
		case isWord(a, "streams"):
			return k, block
		case isWord(a, "block"):
			block = true
			k++
		case isWord(a, "count"):
			k++
		case isWord(a, "group"):
			k += 2
		case isWord(a, "noack"):
		default:
			return 0, block
		}
	}
	return 0, block
}

// Blocks reports whether this request may block its node connection: always for BLPOP and the like
// (they are Refused anyway), for XREAD and XREADGROUP only with BLOCK. A Route command that blocks
// has to be refused with ReasonBlocking until it can have a connection of its own.
func (i *Info) Blocks(frame []byte, args []resp.Arg) bool {
	if !i.Flags.Has(Blocking) {
		return false
	}
	if i.finder != findStreams {
		return true
	}
	_, block := streamOptions(frame, args)
	return block
}

// GetKeys is Keys as COMMAND GETKEYS answers it, with the same contract. It differs from Keys where
// Redis' two ways to look for keys differ: not_key arguments are no keys, an unknown option before
// STREAMS is passed over, of several STOREs in GEORADIUS the first is taken, PFMERGE without sources
// is refused. It checks the arity: ErrArity.
func (i *Info) GetKeys(dst []int, frame []byte, args []resp.Arg) ([]int, error) {
	before := len(dst)
	switch {
	case !i.hasKeys():
		return dst, ErrNoKeys
	case !arityFits(i.Arity, len(args)):
		return dst, ErrArity
	}
	dst, ok := i.keysBySpecs(dst, frame, args)
	if !ok {
		dst = i.keysWithoutSpecs(dst, frame, args)
	}
	return dst, i.checkFound(len(dst) - before)
}

// keysWithoutSpecs is the fallback of COMMAND GETKEYS when the specs fail. Redis gives a store's
// destination last in this case.
func (i *Info) keysWithoutSpecs(dst []int, frame []byte, args []resp.Arg) []int {
	if i.finder == findRange {
		if i.Flags.Has(MovableKeys) { // SORT_RO
			return i.keysInRange(dst, len(args))
		}
		return dst // Redis has no second way for these
	}
	before := len(dst)
	dst = i.keysByFunction(dst, frame, args)
	if found := dst[before:]; i.finder == findStore && len(found) > 0 {
		copy(found, found[1:])
		found[len(found)-1] = 1
	}
	return dst
}

func (i *Info) hasKeys() bool {
	for n := range i.Specs {
		if i.Specs[n].Flags&KeyNotKey == 0 {
			return true
		}
	}
	return false
}

// keysBySpecs appends what all specs find. If one of them fails or is incomplete it appends nothing
// and ok is false. A keyword that is not there is no failure.
func (i *Info) keysBySpecs(dst []int, frame []byte, args []resp.Arg) (_ []int, ok bool) {
	before := len(dst)
	for n := range i.Specs {
		s := &i.Specs[n]
		if s.Flags&KeyNotKey != 0 {
			continue
		}
		first, found := s.begin(frame, args)
		if !found {
			continue
		}
		first, last, ok := s.span(first, frame, args)
		if !ok || s.Flags&KeyIncomplete != 0 {
			return dst[:before], false
		}
		for k := first; k <= last; k += s.KeyStep {
			dst = append(dst, k)
		}
	}
	return dst, true
}

// begin returns where the first key is by s, and false if its keyword is not there. As in Redis a
// keyword that is the last argument is not seen.
func (s *KeySpec) begin(frame []byte, args []resp.Arg) (first int, found bool) {
	if s.Begin != BeginKeyword {
		return s.Index, true
	}
	from, to, step := s.StartFrom, len(args)-1, 1
	if from < 0 {
		from, to, step = len(args)+from, 1, -1
	}
	for k := from; (to-k)*step > 0; k += step {
		if isWord(argument(frame, args[k]), s.Keyword) {
			return k + 1, true
		}
	}
	return 0, false
}

// span returns the first and the last key by s; ok is false if they are not within the request.
func (s *KeySpec) span(begin int, frame []byte, args []resp.Arg) (first, last int, ok bool) {
	argc := len(args)
	switch {
	case s.Begin == BeginUnknown || s.Find == FindUnknown:
		return 0, 0, false
	case s.Find == FindKeyNum:
		if begin+s.KeyNumIdx >= argc {
			return 0, 0, false
		}
		num, valid := strictInt(argument(frame, args[begin+s.KeyNumIdx]))
		if !valid || num < 0 {
			return 0, 0, false
		}
		first = begin + s.FirstKey
		last = first + (int(int32(num))-1)*s.KeyStep
	case s.LastKey >= 0:
		first, last = begin, begin+s.LastKey
	case s.Limit <= 1:
		first, last = begin, argc+s.LastKey
	default:
		first, last = begin, begin+(argc-begin)/s.Limit+s.LastKey
	}
	return first, last, first < argc && last < argc && last >= first
}

// isWord compares an argument with an option's name. Redis does so with C's strcasecmp, for which
// the argument ends at a NUL byte.
func isWord(b []byte, word string) bool {
	if n := len(word); len(b) > n && b[n] == 0 {
		b = b[:n]
	}
	return equalFold(b, word)
}

// strictInt parses the way Redis parses integer arguments: no blanks, no plus, no leading zeros.
func strictInt(b []byte) (int64, bool) {
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil && (b[0] == '-' || b[0] >= '1' || len(b) == 1) && (b[0] != '-' || b[1] >= '1')
}

// atoi is C's: blanks and a sign before, anything after, 0 without digits; values beyond 64 bits
// stop at the end, then the low 32 bits count.
func atoi(b []byte) int {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	var v int64 // negative: that side is one longer
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		d := int64(c - '0')
		if v < (math.MinInt64+d)/10 {
			v = math.MinInt64
			break
		}
		v = v*10 - d
	}
	if !negative {
		v = max(v, -math.MaxInt64)
		v = -v
	}
	return int(int32(v))
}
