package filter

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/markdown"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

var updateDocs = flag.Bool("update", false, "write the generated part of docs/compression.md anew")

const (
	docsPage  = "../../../docs/compression.md"
	docsBegin = "<!-- compressed-commands:begin: written by go test ./proc/redis/filter -run TestDocs -update -->"
	docsEnd   = "<!-- compressed-commands:end -->"
)

// The page for users lists every command that compression has to do with. Whoever changes the rules
// runs this test with -update.
func TestDocsListWhatCompressionDoesWithCommands(t *testing.T) {
	err := markdown.Keep(docsPage, docsBegin, docsEnd, rulesForDocs(t), *updateDocs)
	require.NoError(t, err, "run: go test ./proc/redis/filter -run TestDocs -update")
}

// rulesForDocs renders a table with a line for each thing that may be done with a command.
func rulesForDocs(t *testing.T) string {
	named := map[string][]string{}
	for id := range rules {
		info, rule := command.ByID(uint16(id)), &rules[id]
		add := func(what string) { named[what] = append(named[what], strings.ToUpper(info.Name)) }
		if rule.values != nil {
			add("values are compressed when they are written")
		}
		if rule.reads {
			add("values in replies are decompressed")
		}
		if with := whenDisabled(t, info, rule); with != "" {
			add(with)
		}
	}
	var b strings.Builder
	b.WriteString("| What happens | Commands |\n|---|---|\n")
	for _, what := range []string{
		"values are compressed when they are written", "values in replies are decompressed",
		"refused while `enable` is on",
		"refused while `enable` is on, with `IFEQ`, `IFNE`, `IFDEQ` or `IFDNE`",
		"refused while `enable` is on, with `GET` of values and `STORE`",
	} {
		require.NotEmpty(t, named[what], what)
		slices.Sort(named[what])
		fmt.Fprintf(&b, "| %s | `%s` |\n", what, strings.Join(named[what], "` `"))
		delete(named, what)
	}
	require.Empty(t, named, "has no line in the table")
	return b.String()
}

// docsOptions are options that may make a difference, with what is said of those that do.
var docsOptions = []struct{ options, with string }{
	{"IFEQ v", "`IFEQ`"},
	{"ifne v", "`IFNE`"},
	{"IFDEQ d", "`IFDEQ`"},
	{"ifdne d", "`IFDNE`"},
	{"GET w* STORE d", "`GET` of values and `STORE`"},
	{"get # get w* store d", "`GET` of values and `STORE`"},
	{"STORE d", "`STORE`"},
	{"GET w*", "`GET`"},
	{"GET # STORE d", "`GET #` and `STORE`"},
	{"EX 10", "`EX`"},
}

// whenDisabled tells by trying when a command is refused.
func whenDisabled(t *testing.T, info *command.Info, rule *rule) string {
	const always = "refused while `enable` is on"
	if rule.disabled == nil {
		return ""
	}
	plain := info.Name + strings.Repeat(" x", max(info.Arity, -info.Arity)-1)
	if _, is := rule.disabled(docsRequest(t, plain)); is {
		return always
	}
	var withs []string
	for _, o := range docsOptions {
		if _, is := rule.disabled(docsRequest(t, plain+" "+o.options)); is && !slices.Contains(withs, o.with) {
			withs = append(withs, o.with)
		}
	}
	require.NotEmpty(t, withs, "%s: no options are known with which it is refused", info.Name)
	text := withs[len(withs)-1]
	if len(withs) > 1 {
		text = strings.Join(withs[:len(withs)-1], ", ") + " or " + text
	}
	return always + ", with " + text
}

// docsRequest is a request of words.
func docsRequest(t *testing.T, line string) *Request {
	frame := resp.AppendCommand(nil, strings.Fields(line)...)
	var p resp.Parser
	n, err := p.Parse(frame)
	require.NoError(t, err)
	require.Equal(t, len(frame), n)
	return &Request{Frame: frame, Args: slices.Clone(p.Args)}
}
