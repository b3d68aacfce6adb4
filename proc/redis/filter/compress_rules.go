package filter

import (
	"bytes"
	"strconv"
	"strings"

	"samaritan/proc/redis/command"
)

// rule says what compression has to do with a command.
type rule struct {
	// values appends the arguments that are values of strings or hashes; nil when there are none.
	values func(dst []int, r *Request) []int
	// count tells how many values a request with so many arguments has; nil when that cannot be told by these.
	count func(args int) int
	// disabled tells whether the request cannot be carried out correctly on values that may be compressed,
	// and with which options, if it is because of these; nil when it never is.
	disabled func(r *Request) (with string, is bool)
	plain    int // arguments up to which it never is
	// reads says that replies may have values of strings or hashes.
	reads bool
	// names says that every second string of a reply is the name of a hash field: 1 from the first one on, 2 from the
	// second.
	names int
}

// rules is by the ID of the command. What is not here passes: it has no values of strings and
// hashes, or has them in their stored form.
var rules = newRules()

func newRules() []rule {
	rules := make([]rule, command.Count())
	each := func(names string, set func(*rule)) {
		for name := range strings.FieldsSeq(names) {
			info := command.Lookup([]byte(name))
			if info == nil {
				panic("filter: there is no command " + name)
			}
			set(&rules[info.ID])
		}
	}
	values := func(find func([]int, *Request) []int, count func(int) int) func(*rule) {
		return func(u *rule) { u.values, u.count = find, count }
	}
	one := func(int) int { return 1 }
	each("set setnx getset", values(valueAt(2), one))
	each("setex psetex hsetnx", values(valueAt(3), one))
	each("mset msetnx", values(everySecond(2), func(args int) int { return (args - 1) / 2 }))
	each("hset hmset", values(everySecond(3), func(args int) int { return (args - 2) / 2 }))
	each("msetex", values(valuesOfMSetEx, nil))
	each("hsetex", values(valuesOfHSetEx, nil))

	const scripts = "eval evalsha eval_ro evalsha_ro fcall fcall_ro"
	const onBytes = "append setrange getrange substr setbit getbit bitcount bitpos bitop bitfield bitfield_ro lcs digest delifeq"
	each(onBytes+" "+scripts, func(u *rule) { u.disabled = always })
	each("set", func(u *rule) { u.disabled, u.plain = comparing(3), 3 })
	each("delex", func(u *rule) { u.disabled, u.plain = comparing(2), 2 })
	each("sort", func(u *rule) { u.disabled, u.plain = copiesValues, 2 })

	each("get getset getdel getex set mget hget hmget hgetall hvals hscan hrandfield hgetdel hgetex sort sort_ro exec "+scripts,
		func(u *rule) { u.reads = true })
	each("hgetall hrandfield", func(u *rule) { u.names = 1 })
	each("hscan", func(u *rule) { u.names = 2 }) // the cursor comes first
	return rules
}

func valueAt(i int) func([]int, *Request) []int {
	return func(dst []int, _ *Request) []int { return append(dst, i) } // the arity has been checked
}

func everySecond(first int) func([]int, *Request) []int {
	return func(dst []int, r *Request) []int { return appendPairs(dst, first, len(r.Args)) }
}

func appendPairs(dst []int, first, end int) []int {
	for i := first; i < end; i += 2 {
		dst = append(dst, i)
	}
	return dst
}

// valuesOfMSetEx is for MSETEX n key value [key value ...] options.
func valuesOfMSetEx(dst []int, r *Request) []int {
	return appendPairs(dst, 3, 2+2*r.count(1))
}

// valuesOfHSetEx is for HSETEX key options FIELDS n field value [field value ...].
func valuesOfHSetEx(dst []int, r *Request) []int {
	i := r.option(2, optionFields)
	if i < 0 {
		return dst
	}
	return appendPairs(dst, i+3, i+2+2*r.count(i+1))
}

// count is the number that an argument gives, of pairs that follow it: no more than there are.
func (r *Request) count(arg int) int {
	if arg >= len(r.Args) {
		return 0
	}
	n, err := strconv.ParseUint(string(argument(r.Frame, r.Args[arg])), 10, 32) // a conversion that does not allocate
	if err != nil {
		return 0
	}
	return min(int(n), (len(r.Args)-arg-1)/2)
}

// option returns the index of the first argument from the given one on that is that word, in any case; -1 when
// none is.
func (r *Request) option(from int, word []byte) int {
	for i := from; i < len(r.Args); i++ {
		if int(r.Args[i].Len) == len(word) && bytes.EqualFold(argument(r.Frame, r.Args[i]), word) {
			return i
		}
	}
	return -1
}

var (
	optionFields = []byte("FIELDS")
	optionGet    = []byte("GET")
	optionStore  = []byte("STORE")
	// compareOptions compare the stored value with something.
	compareOptions = [][]byte{[]byte("IFEQ"), []byte("IFNE"), []byte("IFDEQ"), []byte("IFDNE")}
)

func always(*Request) (string, bool) { return "", true }

// comparing is for commands that may compare the stored value, with options from an argument on.
func comparing(from int) func(*Request) (string, bool) {
	return func(r *Request) (string, bool) {
		if len(r.Args) > from {
			for _, word := range compareOptions {
				if r.option(from, word) >= 0 {
					return string(word), true
				}
			}
		}
		return "", false
	}
}

// copiesValues is for SORT key ... GET pattern ... STORE key: values would get into a list, where they are not
// looked for. GET # is the element itself.
func copiesValues(r *Request) (string, bool) {
	if r.option(2, optionStore) < 0 {
		return "", false
	}
	for i := r.option(2, optionGet); i >= 0; i = r.option(i+2, optionGet) {
		if i+1 < len(r.Args) && string(argument(r.Frame, r.Args[i+1])) != "#" {
			return "GET and STORE", true
		}
	}
	return "", false
}
