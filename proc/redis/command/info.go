package command

// Info is all that is known of one command or subcommand. It is shared and must not be changed.
type Info struct {
	// SimpleKey is the argument index of the key if the command always has exactly one key, always
	// there (1 for GET, 2 for OBJECT ENCODING), and 0 otherwise. It is the fast path of Keys.
	SimpleKey int8
	Handling  Handling
	Split     Split
	Merge     Merge  // only with AllMasters and AllNodes
	Reason    Reason // only with Refused
	Origin    Origin

	// ID is dense: 0 to Count()-1, subcommands included. It is stable within a process only.
	ID uint16

	// Arity counts the command's name and, for a subcommand, the container's too. A negative one is
	// a minimum: -3 means three or more.
	Arity int
	Flags Flags
	ACL   Categories

	Name        string  // lower case; a subcommand as "config|get"
	Subcommands []*Info // not empty for a container such as CONFIG
	finder      finder  // how Keys finds the keys

	// FirstKey, LastKey and Step are the legacy triple: all 0 without keys; a negative LastKey counts
	// from the end. They do not tell all keys when Flags has MovableKeys.
	FirstKey, LastKey, Step int
	Specs                   []KeySpec

	Tips  []string // as in COMMAND, in its order
	Since string   // version of Origin that brought it
	Group string   // as in COMMAND DOCS; for a module's commands the module's name
}

// Container reports whether the command only has subcommands, such as CONFIG. COMMAND is the one
// that may be called without.
func (i *Info) Container() bool { return len(i.Subcommands) > 0 }

// Handling is what the proxy does with a command.
type Handling uint8

// The ways to handle a command; the package comment tells what each means.
const (
	Route Handling = iota
	Local
	Scan
	AnyNode
	AllMasters
	AllNodes
	Refused
)

var handlingNames = [...]string{"route", "local", "scan", "any node", "all masters", "all nodes", "refused"}

// String returns a name for documentation and logs.
func (h Handling) String() string { return handlingNames[h] }

// Split is how a command with keys in several slots is cut into one part per slot, and how the
// replies of the parts become one. An error of any part is the reply to the whole.
type Split uint8

// The ways to split. A command with SplitNone has to have all its keys in one slot.
const (
	SplitNone Split = iota
	SplitMGet       // one key each; arrays are put together in the order of the keys
	SplitMSet       // key and value pairs; every part has to answer OK
	SplitSum        // one key each; integers are added
)

var splitNames = [...]string{"none", "mget", "mset", "sum"}

// String returns a name for documentation and logs.
func (s Split) String() string { return splitNames[s] }

// Merge is how the replies of several nodes to one command become one. An error of any node is the
// reply, except with MergeOne and MergeFound.
type Merge uint8

// The ways to merge.
const (
	MergeNone   Merge = iota
	MergeSame         // all nodes have to succeed and answer alike: the reply of any of them
	MergeSum          // integers are added
	MergeAnd          // arrays of 0 and 1 of the same length: logical and, element by element
	MergeConcat       // arrays are put together in any order
	MergeOne          // one success is enough; if there is none, any of the errors
	MergeFound        // any reply that is not null; null when all are
)

var mergeNames = [...]string{"none", "same", "sum", "and", "concat", "one", "found"}

// String returns a name for documentation and logs.
func (m Merge) String() string { return mergeNames[m] }

// Reason is why a command is refused.
type Reason uint8

// The classes of refusal.
const (
	ReasonNone        Reason = iota
	ReasonBlocking           // would block the node connection that sessions share
	ReasonPubSub             // needs a node connection of its own
	ReasonTransaction        // needs a node connection of its own
	ReasonAdmin              // changes or inspects one server; not for a client of the cluster
	ReasonCrossNode          // needs all nodes, and a merge of its own that does not exist yet
)

var reasonNames = [...]string{"", "blocking", "pubsub", "transaction", "admin", "not supported yet"}

// String returns a name for documentation, logs and error texts.
func (r Reason) String() string { return reasonNames[r] }

// Origin is who brought a command, and whose version Since is.
type Origin uint8

// The origins.
const (
	OriginRedis  Origin = iota
	OriginValkey        // Valkey only, or there first
	OriginModule        // a module that Redis ships or shipped; Since is the module's version
	OriginProxy         // the proxy's own
)

var originNames = [...]string{"redis", "valkey", "module", "samaritan"}

// String returns a name for documentation and logs.
func (o Origin) String() string { return originNames[o] }
