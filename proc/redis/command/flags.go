package command

// Flags is the set of command flags, in the order in which COMMAND prints them.
// The bits are ours; only the names and their order are Redis'.
type Flags uint32

// The flags as Redis 7.0 names them (https://redis.io/docs/latest/commands/command/).
const (
	Write           Flags = 1 << iota // may change data
	ReadOnly                          // reads data; may be asked of a replica
	DenyOOM                           // refused when the server is out of memory
	Module                            // comes from a loaded module
	Admin                             // an administrator's command
	PubSub                            // part of publish/subscribe
	NoScript                          // not allowed in scripts
	Blocking                          // may block the connection
	Loading                           // allowed while the data set is loaded
	Stale                             // allowed on a replica with stale data
	SkipMonitor                       // not shown by MONITOR
	SkipSlowlog                       // not kept in the slow log
	Asking                            // accepted in an importing slot
	Fast                              // constant or logarithmic time
	NoAuth                            // allowed before AUTH
	MayReplicate                      // may produce replication traffic
	NoMandatoryKeys                   // takes keys, but none is needed
	NoAsyncLoading                    // refused during an asynchronous load
	NoMulti                           // not allowed in a transaction
	MovableKeys                       // first, last and step do not tell all keys
	AllowBusy                         // allowed while a script runs too long
)

var flagNames = [...]string{
	"write", "readonly", "denyoom", "module", "admin", "pubsub", "noscript", "blocking",
	"loading", "stale", "skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "may_replicate",
	"no_mandatory_keys", "no_async_loading", "no_multi", "movablekeys", "allow_busy",
}

// Has reports whether all flags of g are set in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Names returns the names of the flags that are set, in COMMAND's order.
func (f Flags) Names() []string { return bitNames(uint32(f), flagNames[:]) }

// Categories is the set of ACL categories, in the order in which COMMAND prints them.
type Categories uint32

// The ACL categories (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/).
const (
	CatKeyspace Categories = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
)

var categoryNames = [...]string{
	"@keyspace", "@read", "@write", "@set", "@sortedset", "@list", "@hash", "@string", "@bitmap",
	"@hyperloglog", "@geo", "@stream", "@pubsub", "@admin", "@fast", "@slow", "@blocking",
	"@dangerous", "@connection", "@transaction", "@scripting",
}

// Names returns the names of the categories that are set, each with its `@`, in COMMAND's order.
func (c Categories) Names() []string { return bitNames(uint32(c), categoryNames[:]) }

// implied returns the categories that follow from flags. Redis derives them the same way, so the
// table only lists what is left.
func (c Categories) implied(f Flags) Categories {
	rules := [...]struct {
		on  bool
		add Categories
	}{
		{f.Has(Write), CatWrite},
		{f.Has(ReadOnly) && c&CatScripting == 0, CatRead},
		{f.Has(Admin), CatAdmin | CatDangerous},
		{f.Has(PubSub), CatPubSub},
		{f.Has(Fast), CatFast},
		{!f.Has(Fast), CatSlow},
		{f.Has(Blocking), CatBlocking},
	}
	for _, r := range rules {
		if r.on {
			c |= r.add
		}
	}
	return c
}

func bitNames(bits uint32, names []string) []string {
	var out []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
