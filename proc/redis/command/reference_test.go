package command

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reference is what a server tells about one of its commands, in the terms of Info.
type reference struct {
	Info
	hidden bool // COMMAND DOCS has no entry
}

// readReference asks a server for all its commands, subcommands included.
func readReference(s *server) map[string]*reference {
	refs := make(map[string]*reference)
	for _, entry := range s.do("COMMAND").([]any) {
		addReference(refs, entry.([]any))
	}
	addDocs(refs, asMap(s.do("COMMAND", "DOCS")))
	return refs
}

func addReference(refs map[string]*reference, e []any) {
	r := &reference{hidden: true}
	r.Name, r.Arity = e[0].(string), e[1].(int)
	r.Flags = Flags(bitsOf(asStrings(e[2]), flagNames[:]))
	r.FirstKey, r.LastKey, r.Step = e[3].(int), e[4].(int), e[5].(int)
	r.ACL = Categories(bitsOf(asStrings(e[6]), categoryNames[:]))
	r.Tips = asStrings(e[7])
	for _, spec := range e[8].([]any) {
		r.Specs = append(r.Specs, readSpec(asMap(spec)))
	}
	refs[r.Name] = r
	for _, sub := range e[9].([]any) {
		addReference(refs, sub.([]any))
	}
}

func addDocs(refs map[string]*reference, docs map[string]any) {
	for name, doc := range docs {
		fields := asMap(doc)
		r := refs[name]
		r.Since, r.Group, r.hidden = fields["since"].(string), fields["group"].(string), false
		if subs, ok := fields["subcommands"]; ok {
			addDocs(refs, asMap(subs))
		}
	}
}

func readSpec(m map[string]any) KeySpec {
	s := KeySpec{Flags: KeyFlags(bitsOf(asStrings(m["flags"]), keyFlagNames[:]))}
	begin, find := asMap(m["begin_search"]), asMap(m["find_keys"])
	spec := asMap(begin["spec"])
	switch begin["type"] {
	case "index":
		s.Begin, s.Index = BeginIndex, spec["index"].(int)
	case "keyword":
		s.Begin, s.Keyword, s.StartFrom = BeginKeyword, spec["keyword"].(string), spec["startfrom"].(int)
	}
	spec = asMap(find["spec"])
	switch find["type"] {
	case "range":
		s.Find, s.LastKey, s.Limit = FindRange, spec["lastkey"].(int), spec["limit"].(int)
		s.KeyStep = spec["keystep"].(int)
	case "keynum":
		s.Find, s.KeyNumIdx, s.FirstKey = FindKeyNum, spec["keynumidx"].(int), spec["firstkey"].(int)
		s.KeyStep = spec["keystep"].(int)
	}
	return s
}

func bitsOf(have, names []string) (b uint32) {
	for _, h := range have {
		n := slices.Index(names, h)
		if n < 0 {
			panic("a name that flags.go or keyspec.go lacks: " + h)
		}
		b |= 1 << n
	}
	return b
}

// row is the line of the table for r; only its Handling has to be thought about.
func (r *reference) row() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{Name: %q, Arity: %d", r.Name, r.Arity)
	writeBits(&b, "Flags", "", r.Flags.Names(), flagIdents)
	rest := r.ACL
	for c := Categories(1); c <= CatScripting; c <<= 1 {
		if without := r.ACL &^ c; without.implied(r.Flags) == r.ACL {
			rest &^= c
		}
	}
	writeBits(&b, "ACL", "Cat", rest.Names(), categoryIdents)
	if len(r.Specs) > 0 {
		var specs []string
		for _, s := range r.Specs {
			specs = append(specs, s.source())
		}
		fmt.Fprintf(&b, ", Specs: keys(%s)", strings.Join(specs, ", "))
	}
	if len(r.Tips) > 0 {
		fmt.Fprintf(&b, ", Tips: tips(%s)", quoted(r.Tips))
	}
	fmt.Fprintf(&b, ", Since: %q},", r.Since)
	return b.String()
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}

func writeBits(b *strings.Builder, field, prefix string, names []string, idents map[string]string) {
	if len(names) == 0 {
		return
	}
	var out []string
	for _, n := range names {
		out = append(out, prefix+idents[n])
	}
	fmt.Fprintf(b, ", %s: %s", field, strings.Join(out, " | "))
}

func (s KeySpec) source() string {
	var names []string
	for _, n := range s.Flags.Names() {
		names = append(names, "Key"+keyFlagIdents[n])
	}
	flags := strings.Join(names, "|")
	switch {
	case s.Begin == BeginUnknown:
		return fmt.Sprintf("unknown(%s)", flags)
	case s.Begin == BeginKeyword:
		return fmt.Sprintf("after(%q, %d, %d, %d, %s)", s.Keyword, s.StartFrom, s.LastKey, s.Limit, flags)
	case s.Find == FindKeyNum && s.KeyStep == 1:
		return fmt.Sprintf("counted(%d, %s)", s.Index, flags)
	case s.Find == FindKeyNum:
		return fmt.Sprintf("countedStep(%d, %d, %s)", s.Index, s.KeyStep, flags)
	case s.LastKey == 0:
		return fmt.Sprintf("at(%d, %s)", s.Index, flags)
	default:
		return fmt.Sprintf("span(%d, %d, %d, %s)", s.Index, s.LastKey, s.KeyStep, flags)
	}
}

var (
	flagIdents = identifiers(flagNames[:], "Write ReadOnly DenyOOM Module Admin PubSub NoScript Blocking Loading Stale "+
		"SkipMonitor SkipSlowlog Asking Fast NoAuth MayReplicate NoMandatoryKeys NoAsyncLoading NoMulti MovableKeys AllowBusy")
	categoryIdents = identifiers(categoryNames[:], "Keyspace Read Write Set SortedSet List Hash String Bitmap HyperLogLog Geo "+
		"Stream PubSub Admin Fast Slow Blocking Dangerous Connection Transaction Scripting")
	keyFlagIdents = identifiers(keyFlagNames[:], "RO RW OW RM Access Update Insert Delete NotKey Incomplete VariableFlags")
)

func identifiers(names []string, idents string) map[string]string {
	m := make(map[string]string)
	for i, ident := range strings.Fields(idents) {
		m[names[i]] = ident
	}
	return m
}

// TestTableIsTheServers is what keeps the table from rotting. Every command of the server has to be
// in the table with the same facts, and the table must not invent commands for that version.
func TestTableIsTheServers(t *testing.T) {
	s := startServer(t)
	version := serverVersion(t, s)
	require.True(t, strings.HasPrefix(version, "7.0."), "the table's reference is Redis 7.0, this is %s", version)
	refs := readReference(s)
	require.Greater(t, len(refs), 300)

	have := make(map[string]*Info)
	for _, i := range std.byID {
		if i.Origin == OriginRedis && i.Since < "7.1" {
			have[i.Name] = i
			assert.Contains(t, refs, i.Name, "the server does not know this command")
		}
	}
	for name, want := range refs {
		got, ok := have[name]
		if !ok || !sameFacts(got, &want.Info) {
			t.Errorf("group %s: wrong or missing line, it should be (plus its Handling):\n\t%s", want.Group, want.row())
		}
	}
}

// sameFacts compares everything a server can tell, also what complete has derived.
func sameFacts(got, want *Info) bool {
	return got.Arity == want.Arity && got.Flags == want.Flags && got.ACL == want.ACL &&
		got.FirstKey == want.FirstKey && got.LastKey == want.LastKey && got.Step == want.Step &&
		slices.Equal(got.Specs, want.Specs) && slices.Equal(got.Tips, want.Tips) &&
		got.Since == want.Since && got.Group == want.Group
}

func serverVersion(t *testing.T, s *server) string {
	t.Helper()
	_, after, ok := strings.Cut(s.do("INFO", "server").(string), "redis_version:")
	require.True(t, ok)
	version, _, _ := strings.Cut(after, "\r\n")
	return version
}
