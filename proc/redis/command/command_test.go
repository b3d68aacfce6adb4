package command

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/resp"
)

func TestEveryCommandHasOneHandling(t *testing.T) {
	merges := map[string]Merge{
		"response_policy:all_succeeded": MergeSame, "response_policy:one_succeeded": MergeOne,
		"response_policy:agg_sum": MergeSum, "response_policy:agg_logical_and": MergeAnd,
	}
	for id, i := range std.byID {
		toAll := i.Handling == AllMasters || i.Handling == AllNodes
		assert.Equal(t, uint16(id), i.ID, i.Name)
		assert.Equal(t, i.Handling == Refused, i.Reason != ReasonNone, i.Name)
		assert.Equal(t, toAll, i.Merge != MergeNone, i.Name)
		assert.NotEmpty(t, i.Since, i.Name)
		assert.NotEmpty(t, i.Group, i.Name)
		assert.NotZero(t, i.Arity, i.Name)
		if i.Handling == Route {
			assert.NotEmpty(t, i.Specs, "%s has no key and no Handling", i.Name)
		}
		if i.Flags.Has(Blocking) && i.Handling != Refused {
			assert.Equal(t, findStreams, i.finder, "%s may block a shared connection", i.Name)
		}
		if i.Split != SplitNone {
			assert.Equal(t, Route, i.Handling, i.Name)
		}
		for _, tip := range i.Tips {
			if m, ok := merges[tip]; ok && toAll {
				assert.Equal(t, m, i.Merge, i.Name)
			}
		}
		if i.finder == findStore {
			assert.Equal(t, 1, i.Specs[0].Index, i.Name)
		}
	}
}

// Redis marks what proxies may split: the table splits just these, but MSETNX, which is all or nothing.
func TestSplitCommandsAreThoseOfTheServersTips(t *testing.T) {
	for _, i := range std.byID {
		tip := strings.Contains(strings.Join(i.Tips, " "), "request_policy:multi_shard")
		assert.Equal(t, tip && i.Name != "msetnx", i.Split != SplitNone, i.Name)
	}
}

func TestNamesOfEnumsAreComplete(t *testing.T) {
	for _, i := range std.byID {
		assert.NotEmpty(t, i.Handling.String())
		assert.NotEmpty(t, i.Split.String())
		assert.NotEmpty(t, i.Merge.String())
		assert.NotEmpty(t, i.Origin.String())
		assert.Equal(t, i.Handling == Refused, i.Reason.String() != "")
	}
	assert.Equal(t, "allow_busy", strings.Join(AllowBusy.Names(), ""))
	assert.Equal(t, "@scripting", strings.Join(CatScripting.Names(), ""))
	assert.Equal(t, "variable_flags", strings.Join(KeyVariableFlags.Names(), ""))
	assert.Equal(t, []string{"route", "none", "none", "samaritan"},
		[]string{Route.String(), SplitNone.String(), MergeNone.String(), OriginProxy.String()})
	assert.Equal(t, "not supported yet", ReasonCrossNode.String())
}

func TestLookupFindsEveryNameInAnyCase(t *testing.T) {
	require.Equal(t, Count(), len(std.byID))
	for _, i := range std.top {
		upper := strings.ToUpper(i.Name)
		mixed := upper[:1] + i.Name[1:]
		for _, name := range []string{i.Name, upper, mixed} {
			assert.Same(t, i, Lookup([]byte(name)), name)
		}
		assert.Same(t, i, ByID(i.ID))
		for _, s := range i.Subcommands {
			_, sub, _ := strings.Cut(s.Name, "|")
			assert.Same(t, s, i.Sub([]byte(strings.ToUpper(sub))), s.Name)
			assert.Nil(t, Lookup([]byte(s.Name)), s.Name)
		}
	}
}

// Names one bit or one byte away must not be taken for a command, in particular those that only
// differ in the bit that folds the case.
func TestLookupIsExact(t *testing.T) {
	for _, i := range std.top {
		for at := range i.Name {
			for _, bit := range []byte{0x20, 0x40, 0x80, 0x01} {
				b := []byte(i.Name)
				b[at] ^= bit
				if got := Lookup(b); got != nil {
					assert.Equal(t, strings.ToLower(string(b)), got.Name)
				}
			}
		}
		for _, name := range []string{i.Name + "\x00", i.Name + " ", " " + i.Name, i.Name[1:]} {
			if got := Lookup([]byte(name)); got != nil {
				assert.Equal(t, name, got.Name)
			}
		}
	}
	for _, name := range []string{"", "\x00", "g", "ge", strings.Repeat("x", 24), strings.Repeat("get", 1000)} {
		assert.Nil(t, Lookup([]byte(name)), name)
	}
}

func TestResolve(t *testing.T) {
	tests := []struct{ line, want string }{
		{"get a", "get"},
		{"get", "get"},
		{"CONFIG GET x", "config|get"},
		{"config", "config"},
		{"command", "command"},
		{"command docs", "command|docs"},
		{"config nosuch", ""},
		{"config|get x", ""},
		{"nosuch", ""},
		{"hotkey", "hotkey"},
		{"HOTKEY List COUNT 3", "hotkey|list"},
	}
	for _, tt := range tests {
		frame, args := request(strings.Split(tt.line, " ")...)
		if i := Resolve(frame, args); tt.want == "" {
			assert.Nil(t, i, tt.line)
		} else if assert.NotNil(t, i, tt.line) {
			assert.Equal(t, tt.want, i.Name)
		}
	}
}

func TestBlocks(t *testing.T) {
	tests := []struct {
		line string
		want bool
	}{
		{"get block", false},
		{"blpop a 0", true},
		{"xread streams a 0", false},
		{"xread BLOCK 0 streams a 0", true},
		{"xread count 1 block 5 streams a 0", true},
		{"xread count block streams a 0", false},
		{"xread streams block 0", false},
		{"xreadgroup group block block streams a >", false},
		{"xreadgroup group g c noack block 0 streams a >", true},
		{"xread", false},
	}
	for _, tt := range tests {
		frame, args := request(strings.Split(tt.line, " ")...)
		assert.Equal(t, tt.want, Resolve(frame, args).Blocks(frame, args), tt.line)
	}
}

// Commands that no server of this version has, so the expectation stands here.
func TestKeysOfNewerCommands(t *testing.T) {
	tests := []struct{ line, want string }{
		{"msetex 2 a 1 b 2 EX 10", "a b"},
		{"msetex 3 a 1 b 2", ""},
		{"hsetex a FIELDS 1 f v", "a"},
		{"delex a IFEQ v", "a"},
		{"xackdel a g IDS 1 1-1", "a"},
		{"json.get a $", "a"},
		{"json.get", ""},
		{"json.mget a b c $", "a b c"},
		{"json.mget a", ""},
		{"json.mset a $ 1 b $ 2", "a b"},
		{"json.debug memory a", "a"},
		{"json.debug help", ""},
		{"bf.madd a x y", "a"},
		{"cms.merge d 2 a b weights 1 1", "d a b"},
		{"tdigest.merge d 1 a", "d a"},
		{"ts.madd a 1 2 b 1 2", "a b"},
		{"ts.createrule a b aggregation avg 10", "a b"},
		{"vsim a ele x", "a"},
		{"hotkey list", ""},
	}
	for _, tt := range tests {
		words := strings.Split(tt.line, " ")
		frame, args := request(words...)
		found, err := Resolve(frame, args).Keys(nil, frame, args)
		var got []string
		for _, k := range found {
			got = append(got, words[k])
		}
		assert.Equal(t, tt.want, strings.Join(got, " "), tt.line)
		assert.Equal(t, tt.want == "", err != nil, tt.line)
	}
}

func TestCheckArity(t *testing.T) {
	tests := []struct {
		name string
		n    int
		want bool
	}{
		{"get", 2, true},
		{"get", 1, false},
		{"get", 3, false},
		{"del", 1, false},
		{"del", 2, true},
		{"del", 200, true},
		{"mset", 3, true},
		{"mset", 4, false},
		{"mset", 5, true},
		{"msetnx", 4, true}, // the node's matter
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, CheckArity(Lookup([]byte(tt.name)), tt.n), "%s %d", tt.name, tt.n)
	}
}

func TestErrorsAreTheServers(t *testing.T) {
	s := startServer(t)
	long := strings.Repeat("0123456789", 20)
	tests := [][]string{
		{"foo"},
		{"foo", "a", "b"},
		{"FOO", ""},
		{""},
		{long},
		{long, long, long},
		{"foo", long[:100], long[:100], long},
		{"foo", long[:125], "a", "b"},
		{"foo", long[:124], "abc", "b"},
		{"foo", long[:123], "abc"},
		{"foo\r\nbar", "a\r\n", "\n"},
		{"foo\x00bar", "a\x00b", "c"},
		{"\x00", "\x00"},
		{"foo\xff\x01", "\x80\t"},
		{"foo", "'quoted'", `"`, "%s%d"},
		{"config", "nosuch"},
		{"CoNfIg", "", "x"},
		{"config", long},
		{"config", "a\r\nb\x00c"},
		{"command", "nosuch"},
		{"config|get", "x"},
		{"get"},
		{"get", "a", "b"},
		{"GET"},
		{"config"},
		{"Config", "Get"},
		{"mset", "a"},
		{"mset", "a", "1", "b"},
		{"object", "encoding"},
		{"xgroup", "create", "a"},
	}
	for _, args := range tests {
		_, want := s.doRaw(args...)
		assert.Equal(t, want, errorReply(args), "%q", args)
	}
}

func errorReply(args []string) string {
	frame, parsed := request(args...)
	i := Resolve(frame, parsed)
	switch {
	case i == nil:
		return string(AppendUnknown([]byte{}, frame, parsed))
	case !CheckArity(i, len(args)):
		return string(AppendWrongArity(nil, i))
	}
	return "no error"
}

func TestAppendInfoIsTheServers(t *testing.T) {
	s := startServer(t)
	for _, resp3 := range []bool{false, true} {
		if resp3 {
			s.do("HELLO", "3")
		}
		for _, i := range std.byID {
			if i.Origin != OriginRedis || i.Since >= "7.1" {
				continue
			}
			entry, want := s.doRaw("COMMAND", "INFO", i.Name)
			ours := asTheServersSubcommands(i, entry.([]any)[0].([]any)[9].([]any))
			got := string(AppendInfo(resp.AppendArrayHeader(nil, 1), ours, resp3))
			assert.Equal(t, withoutNotes(want), got, i.Name)
		}
		_, want := s.doRaw("COMMAND", "INFO", "nosuch")
		assert.Equal(t, want, string(AppendInfo(resp.AppendArrayHeader(nil, 1), nil, resp3)))
	}
}

// asTheServersSubcommands returns i with the subcommands that the server has, in its order: that is
// the order of a hash table with a random seed.
func asTheServersSubcommands(i *Info, entries []any) *Info {
	ours := *i
	ours.Subcommands = nil
	for _, e := range entries {
		_, name, _ := strings.Cut(e.([]any)[0].(string), "|")
		ours.Subcommands = append(ours.Subcommands, i.Sub([]byte(name)))
	}
	return &ours
}

var notes = regexp.MustCompile(`(?:\*8|%4)\r\n\$5\r\nnotes\r\n\$\d+\r\n[^\r]*\r\n`)

// withoutNotes removes what AppendInfo leaves out: the first field of some key specs.
func withoutNotes(raw string) string {
	return notes.ReplaceAllStringFunc(raw, func(s string) string {
		if s[0] == '%' {
			return "%3\r\n"
		}
		return "*6\r\n"
	})
}
