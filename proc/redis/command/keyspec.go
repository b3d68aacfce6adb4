package command

// KeyFlags says what a command does with the keys that a KeySpec finds.
type KeyFlags uint16

// The key flags as COMMAND prints them (https://redis.io/docs/latest/develop/reference/key-specs/).
// Exactly one of the first four is set unless KeyNotKey is.
const (
	KeyRO            KeyFlags = 1 << iota // reads the value only
	KeyRW                                 // reads or depends on the value, and changes it
	KeyOW                                 // overwrites the value
	KeyRM                                 // deletes the key
	KeyAccess                             // returns or copies data of the user
	KeyUpdate                             // changes data, and the old data matters
	KeyInsert                             // adds data, old data does not matter
	KeyDelete                             // removes data from the value
	KeyNotKey                             // not a key, but it decides the slot (sharded channels)
	KeyIncomplete                         // more keys may follow that the spec does not find
	KeyVariableFlags                      // the flags depend on the arguments
)

var keyFlagNames = [...]string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

// Names returns the names of the flags that are set, in COMMAND's order.
func (f KeyFlags) Names() []string { return bitNames(uint32(f), keyFlagNames[:]) }

// BeginSearch is how a KeySpec finds its first key.
type BeginSearch uint8

// The ways to find the first key.
const (
	BeginUnknown BeginSearch = iota // cannot be told from a spec
	BeginIndex                      // at argument Index
	BeginKeyword                    // after the argument Keyword, looked for from StartFrom on
)

// FindKeys is how a KeySpec finds the keys from the first one on.
type FindKeys uint8

// The ways to find the keys.
const (
	FindUnknown FindKeys = iota // cannot be told from a spec
	FindRange                   // every KeyStep-th argument up to LastKey
	FindKeyNum                  // as many as the argument at KeyNumIdx says
)

// KeySpec is one key specification of a command, as in Redis 7. Argument 0 is the command's name.
type KeySpec struct {
	Flags KeyFlags
	Begin BeginSearch
	Find  FindKeys

	Index     int    // BeginIndex: where the first key is
	Keyword   string // BeginKeyword: what precedes the first key; matched without case
	StartFrom int    // BeginKeyword: where the search starts; negative counts from the end and goes back

	LastKey int // FindRange: the last key relative to the first; negative counts from the end, -1 is the last argument
	Limit   int // FindRange with LastKey -1: only the first 1/Limit of the arguments are keys; 0 and 1 mean all

	KeyNumIdx int // FindKeyNum: where the number of keys is, relative to Begin's result
	FirstKey  int // FindKeyNum: where the first key is, relative to Begin's result

	KeyStep int // both: distance of one key to the next
}

// The functions below only keep the table's lines short.

// at is exactly one key, at argument index.
func at(index int, flags KeyFlags) KeySpec { return span(index, 0, 1, flags) }

// span is keys from argument index to last (relative when >= 0, from the end when < 0).
func span(index, last, step int, flags KeyFlags) KeySpec {
	return KeySpec{Flags: flags, Begin: BeginIndex, Index: index, Find: FindRange, LastKey: last, KeyStep: step}
}

// counted is a number of keys at argument index, then so many keys.
func counted(index int, flags KeyFlags) KeySpec { return countedStep(index, 1, flags) }

func countedStep(index, step int, flags KeyFlags) KeySpec {
	return KeySpec{Flags: flags, Begin: BeginIndex, Index: index, Find: FindKeyNum, FirstKey: 1, KeyStep: step}
}

// after is keys behind a keyword: last and limit as in KeySpec.
func after(keyword string, from, last, limit int, flags KeyFlags) KeySpec {
	return KeySpec{
		Flags: flags, Begin: BeginKeyword, Keyword: keyword, StartFrom: from,
		Find: FindRange, LastKey: last, Limit: limit, KeyStep: 1,
	}
}

// unknown is keys that no spec can find.
func unknown(flags KeyFlags) KeySpec { return KeySpec{Flags: flags} }

func keys(specs ...KeySpec) []KeySpec { return specs }

// plain reports whether s is an index and a range: all that the legacy triple can express.
func (s KeySpec) plain() bool { return s.Begin == BeginIndex && s.Find == FindRange }
