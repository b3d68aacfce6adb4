package command

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/markdown"
)

var update = flag.Bool("update", false, "write the generated part of docs/commands.md anew")

const (
	docsPage  = "../../../docs/commands.md"
	docsBegin = "<!-- commands:begin: written by go test ./proc/redis/command -update -->"
	docsEnd   = "<!-- commands:end -->"
)

// The page for users lists every command under what is done with it. Whoever changes the table
// runs this test with -update.
func TestDocsListEveryCommandByItsHandling(t *testing.T) {
	err := markdown.Keep(docsPage, docsBegin, docsEnd, commandsForDocs(), *update)
	require.NoError(t, err, "run: go test ./proc/redis/command -run TestDocs -update")
}

// docsSection is the commands that are handled alike.
type docsSection struct {
	title, text string
	head        string // of the first column
	key         func(i *Info) string
	has         func(i *Info) bool
}

var docsSections = []docsSection{
	{
		"Routed by key", "Sent to the node that owns the slot of the keys. All keys have to be in one slot.", "Group",
		groupOf, func(i *Info) bool { return i.Handling == Route && i.Split == SplitNone && !i.Flags.Has(Blocking) },
	},
	{
		"Routed by key, but refused when they would block", "Routed as above. With the option `BLOCK` they are refused.", "Group",
		groupOf, func(i *Info) bool { return i.Handling == Route && i.Flags.Has(Blocking) },
	},
	{
		"Routed by key and split by slot", "Keys in one slot: passed through as they are. Keys in several slots: one part per slot, the replies\nare merged, and the error of any part is the reply to the whole.", "Merged reply",
		func(i *Info) string { return docsSplits[i.Split] }, func(i *Info) bool { return i.Split != SplitNone },
	},
	{
		"SCAN", "Walks all masters, range of slots by range of slots. The cursor is the proxy's.", "Group",
		groupOf, func(i *Info) bool { return i.Handling == Scan },
	},
	{
		"Sent to several nodes", "No keys. Every node runs the command. The error of any node is the reply, unless the table says otherwise.", "Nodes, merged reply",
		func(i *Info) string { return i.Handling.String() + ", " + docsMerges[i.Merge] },
		func(i *Info) bool { return i.Handling == AllMasters || i.Handling == AllNodes },
	},
	{
		"Sent to any node", "No keys. One master answers for all; they take turns.", "Group",
		groupOf, func(i *Info) bool { return i.Handling == AnyNode },
	},
	{
		"Answered by the proxy", "No node is asked. Which of them are not written yet is said above.", "Group",
		groupOf, func(i *Info) bool { return i.Handling == Local },
	},
	{
		"Refused", "Answered with an error that says why.", "Why",
		func(i *Info) string { return docsReasons[i.Reason] }, func(i *Info) bool { return i.Handling == Refused },
	},
}

var docsSplits = [...]string{
	SplitMGet: "values in the order of the keys", SplitMSet: "`OK` when all parts say so", SplitSum: "the sum",
}

var docsMerges = [...]string{
	MergeSame: "the reply of one of them", MergeSum: "the sum", MergeAnd: "1 where all say 1", MergeConcat: "all elements",
	MergeOne: "the first success; an error only when all fail", MergeFound: "the first that is not null",
}

var docsReasons = [...]string{
	ReasonBlocking:    "would block the connection that clients share",
	ReasonPubSub:      "publish/subscribe is not supported yet",
	ReasonTransaction: "transactions are not supported yet",
	ReasonAdmin:       "is about a single server: ask the node itself",
	ReasonCrossNode:   "needs an answer put together from all nodes, not supported yet",
}

func groupOf(i *Info) string { return i.Group }

// commandsForDocs renders the sections. Containers are left out, as only their subcommands do
// something; those that may be called without one (COMMAND) are there.
func commandsForDocs() string {
	var b strings.Builder
	for _, s := range docsSections {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| %s | Commands |\n|---|---|\n", s.title, s.text, s.head)
		var keys []string
		names := map[string][]string{}
		for _, i := range std.byID {
			if !s.has(i) || i.Container() && i.Arity < -1 {
				continue
			}
			key := s.key(i)
			if names[key] == nil {
				keys = append(keys, key)
			}
			names[key] = append(names[key], strings.ToUpper(strings.ReplaceAll(i.Name, "|", " ")))
		}
		for _, key := range keys {
			slices.Sort(names[key])
			fmt.Fprintf(&b, "| %s | `%s` |\n", key, strings.Join(names[key], "` `"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Every command that can be called is in exactly one section.
func TestDocsSectionsAreComplete(t *testing.T) {
	for _, i := range std.byID {
		n := 0
		for _, s := range docsSections {
			if s.has(i) {
				n++
			}
		}
		require.Equal(t, 1, n, i.Name)
	}
}
