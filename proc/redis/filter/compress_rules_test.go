package filter

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/command"
)

// valueLines are commands and the indexes of their values.
var valueLines = []struct {
	line   string
	values []int
}{
	{"SET k v", []int{2}},
	{"SET k v EX 10 NX GET", []int{2}},
	{"SETNX k v", []int{2}},
	{"GETSET k v", []int{2}},
	{"SETEX k 10 v", []int{3}},
	{"PSETEX k 10 v", []int{3}},
	{"HSETNX k f v", []int{3}},
	{"MSET k v", []int{2}},
	{"MSET k v l w m x", []int{2, 4, 6}},
	{"MSET k v l", []int{2}},
	{"MSETNX k v l w", []int{2, 4}},
	{"HSET k f v", []int{3}},
	{"HSET k f v g w", []int{3, 5}},
	{"HSET k f v g", []int{3}},
	{"HMSET k f v g w", []int{3, 5}},

	{"MSETEX 1 k v", []int{3}},
	{"MSETEX 2 k v l w", []int{3, 5}},
	{"MSETEX 2 k v l w EX 10", []int{3, 5}},
	{"MSETEX 1 k v NX EX 10 KEEPTTL", []int{3}},
	{"MSETEX 3 k v l w", []int{3, 5}},
	{"MSETEX 3 k v l w m", []int{3, 5}},
	{"MSETEX 4294967295 k v", []int{3}},
	{"MSETEX 0 k v", nil},
	{"MSETEX -1 k v", nil},
	{"MSETEX 4294967296 k v", nil},
	{"MSETEX 18446744073709551616 k v", nil},
	{"MSETEX 1.0 k v", nil},
	{"MSETEX 0x1 k v", nil},
	{"MSETEX 1_0 k v", nil},
	{"MSETEX n k v", nil},
	{`MSETEX "" k v`, nil},

	{"HSETEX k FIELDS 1 f v", []int{5}},
	{"HSETEX k fields 2 f v g w", []int{5, 7}},
	{"HSETEX k FNX EX 10 FIELDS 2 f v g w", []int{8, 10}},
	{"HSETEX k KEEPTTL Fields 1 f v", []int{6}},
	{"HSETEX k FIELDS 1 FIELDS v", []int{5}},
	{"HSETEX k FIELDS 1 f FIELDS", []int{5}},
	{"HSETEX k FIELDS 1 f v EX 10", []int{5}},
	{"HSETEX k FIELDS 2 f v g", []int{5}},
	{"HSETEX k FIELDS 9 f v g w", []int{5, 7}},
	{"HSETEX FIELDS EX 10 FIELDS 1 f v", []int{7}},
	{"HSETEX k FIELDS 0 f v", nil},
	{"HSETEX k FIELDS -2 f v", nil},
	{"HSETEX k FIELDS many f v", nil},
	{"HSETEX k EX 10 FIELDS 1 f", nil},
	{"HSETEX k EX 10 NX FIELDS 1", nil},
	{"HSETEX k EX 10 NX XX FIELDS", nil},
	{"HSETEX k EX 10 1 f v", nil},
}

func TestWhereValuesAre(t *testing.T) {
	seen := make(map[string]bool)
	for _, tt := range valueLines {
		t.Run(tt.line, func(t *testing.T) {
			args := fields(tt.line)
			for _, name := range []string{args[0], strings.ToLower(args[0])} {
				r := requestOf(t, append([]string{name}, args[1:]...)...)
				find := rules[r.Info.ID].values
				require.NotNil(t, find)
				assert.Equal(t, append([]int{-1}, tt.values...), find([]int{-1}, r), "appended")
				seen[r.Info.Name] = true
			}
		})
	}
	for id := range command.Count() {
		if name := command.ByID(uint16(id)).Name; rules[id].values != nil {
			assert.True(t, seen[name], "no line shows where the values of %s are", name)
		}
	}
}

// Malformed counts must not make a value of what is none, nor reach behind the arguments.
func TestCountsOfValuesStayWithinTheArguments(t *testing.T) {
	for _, count := range []string{"-1", "0", "1", "2", "3", "4", "5", "4294967295", "99999999999999999999", "x"} {
		for n := range 6 {
			args := append([]string{"MSETEX", count}, make([]string, n)...)
			r := requestOf(t, args...)
			for _, i := range rules[r.Info.ID].values(nil, r) {
				require.Less(t, i, len(r.Args), "%q", args)
				require.Equal(t, 1, i%2)
			}
			args = append([]string{"HSETEX", "k", "FIELDS", count}, make([]string, n)...)
			r = requestOf(t, args...)
			for _, i := range rules[r.Info.ID].values(nil, r) {
				require.Less(t, i, len(r.Args), "%q", args)
				require.Equal(t, 1, i%2)
			}
		}
	}
	r := requestOf(t, "MSETEX")
	assert.Empty(t, rules[r.Info.ID].values(nil, r))
}

// withoutValues are the commands of strings and hashes that write and have no argument that is a
// value to be stored, by the reason.
var withoutValues = map[string]string{
	"a number":                  "decr decrby incr incrby incrbyfloat hincrby hincrbyfloat",
	"keys, fields and times":    "getdel getex hdel hexpire hexpireat hgetdel hgetex hpersist hpexpire hpexpireat",
	"disabled":                  "append setrange setbit bitfield bitop delifeq",
	"a value to compare with":   "delex",
	"elements of a HyperLogLog": "pfadd pfdebug",
	"the names of HyperLogLogs": "pfmerge",
}

// withoutReplies are the commands of strings and hashes whose replies have no value, by what they
// have instead.
var withoutReplies = map[string]string{
	"OK":                     "mset psetex setex hmset pfmerge",
	"a number":               "decr decrby incr incrby incrbyfloat hincrby hincrbyfloat hexists hlen hsetnx hdel hset hsetex setnx msetnx msetex delex pfadd pfcount",
	"a length as stored":     "strlen hstrlen",
	"the names of fields":    "hkeys",
	"times":                  "hexpire hexpireat hexpiretime hpersist hpexpire hpexpireat hpexpiretime hpttl httl",
	"disabled":               "append getrange substr lcs digest delifeq setrange getbit setbit bitcount bitpos bitop bitfield bitfield_ro",
	"nothing: it is refused": "pfdebug pfselftest",
}

// reasons turns such a table round.
func reasons(t *testing.T, table map[string]string) map[string]string {
	t.Helper()
	why := make(map[string]string)
	for reason, names := range table {
		for name := range strings.FieldsSeq(names) {
			require.NotNil(t, command.Lookup([]byte(name)), name)
			require.Empty(t, why[name], "%s is there twice", name)
			why[name] = reason
		}
	}
	return why
}

// ofStringsAndHashes are the commands whose values compression is about.
func ofStringsAndHashes() (infos []*command.Info) {
	groups := []string{"string", "hash", "bitmap", "hyperloglog"}
	for id := range command.Count() {
		i := command.ByID(uint16(id))
		if slices.Contains(groups, i.Group) || i.ACL&(command.CatString|command.CatHash|command.CatBitmap) != 0 {
			infos = append(infos, i)
		}
	}
	return infos
}

// A command that is new has to be thought of: it goes into the rules, or here with the reason why not.
func TestEveryCommandOfStringsAndHashesIsThoughtOf(t *testing.T) {
	noValue, noReply := reasons(t, withoutValues), reasons(t, withoutReplies)
	for _, i := range ofStringsAndHashes() {
		rule := &rules[i.ID]
		if i.Flags.Has(command.Write) {
			assert.NotEqual(t, rule.values != nil, noValue[i.Name] != "",
				"%s writes: its values have to be in the rules, or the reason why it has none in withoutValues", i.Name)
		} else {
			assert.Nil(t, rule.values, "%s does not write", i.Name)
		}
		assert.NotEqual(t, rule.reads, noReply[i.Name] != "",
			"%s has to be among those that read in the rules, or the reason why not in withoutReplies", i.Name)
		assert.Equal(t, noReply[i.Name] == "disabled", rule.disabled != nil && rule.values == nil && i.Name != "delex", i.Name)
	}
}

// otherRules are the commands in the rules that are not of strings and hashes.
var otherRules = map[string]string{
	"eval": "disabled, reads", "evalsha": "disabled, reads", "eval_ro": "disabled, reads", "evalsha_ro": "disabled, reads",
	"fcall": "disabled, reads", "fcall_ro": "disabled, reads",
	"sort": "disabled, reads", "sort_ro": "reads", "exec": "reads",
}

func TestRulesForOtherCommands(t *testing.T) {
	known := ofStringsAndHashes()
	got := make(map[string]string)
	for id := range command.Count() {
		i := command.ByID(uint16(id))
		var does []string
		if rules[id].disabled != nil {
			does = append(does, "disabled")
		}
		if rules[id].reads {
			does = append(does, "reads")
		}
		if !slices.Contains(known, i) && len(does) > 0 {
			got[i.Name] = strings.Join(does, ", ")
			assert.Nil(t, rules[id].values, i.Name)
		}
	}
	assert.Equal(t, otherRules, got)
}

func TestCommandsThatAreDisabled(t *testing.T) {
	const alone = ""
	for line, with := range map[string]string{
		"APPEND k v": alone, "append k v": alone, "SETRANGE k 0 v": alone, "GETRANGE k 0 1": alone, "SUBSTR k 0 1": alone,
		"SETBIT k 0 1": alone, "GETBIT k 0": alone, "BITCOUNT k": alone, "BITPOS k 1": alone, "BITOP AND d a b": alone,
		"BITFIELD k GET u8 0": alone, "BITFIELD_RO k GET u8 0": alone, "LCS a b": alone, "DIGEST k": alone, "DELIFEQ k v": alone,
		"EVAL s 0": alone, "EVAL s 1 k": alone, "EVALSHA s 0": alone, "EVAL_RO s 0": alone, "EVALSHA_RO s 0": alone,
		"FCALL f 0": alone, "FCALL_RO f 0": alone,
		"SET k v IFEQ x": "IFEQ", "SET k v ifeq x": "IFEQ", "SET k v EX 10 IfNe x": "IFNE", "SET k v IFDEQ x GET": "IFDEQ",
		"SET k v ifdne x": "IFDNE", "DELEX k IFEQ x": "IFEQ", "delex k ifne x": "IFNE", "DELEX k IfDeq x": "IFDEQ", "DELEX k IFDNE x": "IFDNE",
		"SORT k GET w_* STORE d": "GET and STORE", "sort k get w_* store d": "GET and STORE", "SORT k STORE d GET w_*": "GET and STORE",
		"SORT k GET # Get w_* STORE d": "GET and STORE", "SORT k BY w_* LIMIT 0 10 GET # GET w_*->f ALPHA STORE d": "GET and STORE",
	} {
		t.Run(line, func(t *testing.T) {
			c := newCompression(t, bothAlgorithms["snappy"])
			r := requestOf(t, fields(line)...)
			require.Equal(t, Answered, c.request(r))
			want := "-ERR command '" + r.Info.Name + "' is disabled in compress mode\r\n"
			if with != alone {
				want = "-ERR command '" + r.Info.Name + "' with " + with + " is disabled in compress mode\r\n"
			}
			assert.Equal(t, want, string(r.Answer))
			assert.Equal(t, CompressStats{Disabled: 1}, c.stats)
		})
	}
}

func TestCommandsThatAreNotDisabled(t *testing.T) {
	for _, line := range []string{
		"SET k v", "SET IFEQ IFEQ", "SET k ifeq EX 10", "SET k v GET KEEPTTL", "SET k v EX 10 XX",
		"DELEX k", "DELEX IFEQ", "DEL k", "STRLEN k", "INCR k", "GET k", "PFADD k v", "COPY a b", "RENAME a b", "DUMP k",
		"SORT k", "SORT k GET w_*", "SORT k STORE d", "SORT k GET # STORE d", "sort k get # get # store d", "SORT STORE GET w_*",
		"SORT k BY w_* STORE d", "SORT_RO k GET w_*", "SORT k STORE d GET #",
	} {
		t.Run(line, func(t *testing.T) {
			c := newCompression(t, bothAlgorithms["snappy"])
			r := requestOf(t, fields(line)...)
			assert.Equal(t, Pass, c.request(r))
			assert.Nil(t, r.Answer)
			assert.Zero(t, c.stats.Disabled)
		})
	}
}

// What a filter answered stays good until its next call.
func TestAnswersOfDisabledCommandsAreWholeEveryTime(t *testing.T) {
	c := newCompression(t, bothAlgorithms["snappy"])
	for _, name := range []string{"BITFIELD_RO", "LCS", "EVALSHA_RO", "APPEND"} {
		r := requestOf(t, name, "k", "v")
		require.Equal(t, Answered, c.request(r))
		assert.Equal(t, "-ERR command '"+strings.ToLower(name)+"' is disabled in compress mode\r\n", string(r.Answer))
	}
	assert.EqualValues(t, 4, c.stats.Disabled)
}
