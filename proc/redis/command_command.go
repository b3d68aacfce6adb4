package redis

import (
	"strings"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// commandFuncs are COMMAND and its subcommands. They describe the proxy's table: all
// that it knows how to route, whether or not the nodes are new enough to have it.
var commandFuncs = map[string]localFunc{
	"command":                 (*session).commandAll,
	"command|count":           (*session).commandCount,
	"command|docs":            (*session).commandDocs,
	"command|getkeys":         (*session).commandGetKeys,
	"command|getkeysandflags": (*session).commandGetKeysAndFlags,
	"command|info":            (*session).commandInfo,
	"command|list":            (*session).commandList,
	"command|help": help(
		"COMMAND <subcommand> [<arg> ...]. Subcommands are:",
		"(no subcommand)",
		"    The details of all commands.",
		"COUNT",
		"    How many commands there are.",
		"DOCS [<command-name> ...]",
		"    What is known of these commands, or of all, for people to read.",
		"GETKEYS <full-command>",
		"    The keys in a command line.",
		"GETKEYSANDFLAGS <full-command>",
		"    The keys in a command line, and what it does with each.",
		"INFO [<command-name> ...]",
		"    The details of these commands, or of all.",
		"LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
		"    The names of all commands, or of those that fit.",
	),
}

func (s *session) commandAll(*command.Info, []byte, []resp.Arg) {
	all := command.All()
	b := resp.AppendArrayHeader(s.scratch(), len(all))
	for _, i := range all {
		b = command.AppendInfo(b, i, s.resp3())
	}
	s.answer(b)
}

func (s *session) commandCount(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendInt(s.scratch(), int64(len(command.All()))))
}

func (s *session) commandInfo(info *command.Info, frame []byte, args []resp.Arg) {
	if len(args) == 2 {
		s.commandAll(info, frame, args)
		return
	}
	b := resp.AppendArrayHeader(s.scratch(), len(args)-2)
	for i := 2; i < len(args); i++ {
		b = command.AppendInfo(b, commandNamed(argument(frame, args, i)), s.resp3())
	}
	s.answer(b)
}

// commandNamed finds a command or, by "container|name", a subcommand; nil if there is
// none.
func commandNamed(name []byte) *command.Info {
	for i, c := range name {
		if c != '|' {
			continue
		}
		if container := command.Lookup(name[:i]); container != nil {
			return container.Sub(name[i+1:])
		}
		return nil
	}
	return command.Lookup(name)
}

// commandList gives subcommands, too, next to their container.
func (s *session) commandList(info *command.Info, frame []byte, args []resp.Arg) {
	fits, ok := listFilter(frame, args)
	if !ok {
		s.fail(info, errSyntax)
		return
	}
	var names []string
	collect := func(infos []*command.Info) {
		for _, i := range infos {
			if fits(i) {
				names = append(names, i.Name)
			}
		}
	}
	for _, i := range command.All() {
		collect([]*command.Info{i})
		collect(i.Subcommands)
	}
	b := resp.AppendArrayHeader(s.scratch(), len(names))
	for _, name := range names {
		b = resp.AppendBulkString(b, name)
	}
	s.answer(b)
}

// listFilter returns the filter that COMMAND LIST was given; not ok is bad syntax. A
// module or category that does not exist has no commands.
func listFilter(frame []byte, args []resp.Arg) (fits func(*command.Info) bool, ok bool) {
	if len(args) == 2 {
		return func(*command.Info) bool { return true }, true
	}
	if len(args) != 5 || !equalFold(argument(frame, args, 2), "filterby") {
		return nil, false
	}
	value := argument(frame, args, 4)
	switch kind := argument(frame, args, 3); {
	case equalFold(kind, "module"):
		return func(i *command.Info) bool {
			return i.Origin == command.OriginModule && i.Group == string(value)
		}, true
	case equalFold(kind, "aclcat"):
		category := "@" + strings.ToLower(string(value))
		return func(i *command.Info) bool { return hasCategory(i, category) }, true
	case equalFold(kind, "pattern"):
		return func(i *command.Info) bool { return globMatch(value, i.Name) }, true
	}
	return nil, false
}

func hasCategory(i *command.Info, category string) bool {
	for _, name := range i.ACL.Names() {
		if name == category {
			return true
		}
	}
	return false
}

// commandDocs leaves out names that do not exist, as Redis does.
func (s *session) commandDocs(_ *command.Info, frame []byte, args []resp.Arg) {
	infos := command.All()
	if len(args) > 2 {
		infos = nil
		for i := 2; i < len(args); i++ {
			if found := commandNamed(argument(frame, args, i)); found != nil {
				infos = append(infos, found)
			}
		}
	}
	s.answer(appendDocs(s.scratch(), infos, s.resp3()))
}

// appendDocs appends a map of names to what is known: no arguments, no complexity.
// redis-cli reads it when it starts, for its hints.
func appendDocs(b []byte, infos []*command.Info, resp3 bool) []byte {
	b = resp.AppendMapHeader(b, len(infos), resp3)
	for _, i := range infos {
		b = resp.AppendBulkString(b, i.Name)
		fields := 3
		if i.Container() {
			fields++
		}
		if i.Origin == command.OriginModule {
			fields++
		}
		b = resp.AppendMapHeader(b, fields, resp3)
		b = appendPair(b, "summary", summary(i))
		b = appendPair(b, "since", i.Since)
		b = appendPair(b, "group", docsGroup(i))
		if i.Origin == command.OriginModule {
			b = appendPair(b, "module", i.Group)
		}
		if i.Container() {
			b = resp.AppendBulkString(b, "subcommands")
			b = appendDocs(b, i.Subcommands, resp3)
		}
	}
	return b
}

// docsGroup: Redis has one group for the commands of all modules.
func docsGroup(i *command.Info) string {
	if i.Origin == command.OriginModule {
		return "module"
	}
	return i.Group
}

// summary says what the proxy does with a command; Redis has a sentence about the
// command itself here.
func summary(i *command.Info) string {
	switch i.Handling {
	case command.Route:
		return "Sent to the node that owns the keys"
	case command.Local:
		return "Answered by the proxy"
	case command.Scan:
		return "Walks over all masters"
	case command.AnyNode:
		return "Sent to any master"
	case command.AllMasters:
		return "Sent to all masters"
	case command.AllNodes:
		return "Sent to all nodes"
	default:
		return "Refused by the proxy (" + i.Reason.String() + ")"
	}
}

func (s *session) commandGetKeys(info *command.Info, frame []byte, args []resp.Arg) {
	args = args[2:]
	_, keys, ok := s.keysOf(info, frame, args)
	if !ok {
		return
	}
	b := resp.AppendArrayHeader(s.scratch(), len(keys))
	for _, k := range keys {
		b = resp.AppendBulk(b, argument(frame, args, k))
	}
	s.answer(b)
}

func (s *session) commandGetKeysAndFlags(info *command.Info, frame []byte, args []resp.Arg) {
	args = args[2:]
	of, keys, ok := s.keysOf(info, frame, args)
	if !ok {
		return
	}
	b := resp.AppendArrayHeader(s.scratch(), len(keys))
	for _, k := range keys {
		b = resp.AppendArrayHeader(b, 2)
		b = resp.AppendBulk(b, argument(frame, args, k))
		names := keyFlags(of, frame, args, k).Names()
		b = resp.AppendSetHeader(b, len(names), s.resp3())
		for _, name := range names {
			b = resp.AppendSimple(b, name)
		}
	}
	s.answer(b)
}

// keysOf finds the keys of the command line in args. If that fails the error is
// answered.
func (s *session) keysOf(info *command.Info, frame []byte, args []resp.Arg) (of *command.Info, keys []int, ok bool) {
	of = command.Resolve(frame, args)
	if of == nil {
		s.fail(info, "ERR Invalid command specified")
		return nil, nil, false
	}
	keys, err := of.GetKeys(s.w.keys[:0], frame, args)
	s.w.keys = keys
	if err != nil {
		s.fail(info, "ERR "+err.Error())
		return nil, nil, false
	}
	return of, keys, true
}

// keyFlags tells what a command does with its key at argument k: what the key spec
// that covers k says, except for the commands whose arguments decide on it.
func keyFlags(of *command.Info, frame []byte, args []resp.Arg, k int) command.KeyFlags {
	switch of.Name {
	case "set":
		if hasWord(frame, args[3:], "get") {
			return command.KeyRW | command.KeyAccess | command.KeyUpdate
		}
		return command.KeyOW | command.KeyUpdate
	case "bitfield":
		if hasWord(frame, args[2:], "set") || hasWord(frame, args[2:], "incrby") {
			return command.KeyRW | command.KeyAccess | command.KeyUpdate
		}
		return command.KeyRO | command.KeyAccess
	case "sort":
		if k > 1 {
			return command.KeyOW | command.KeyUpdate
		}
	}
	var flags command.KeyFlags
	for n := range of.Specs {
		spec := &of.Specs[n]
		if spec.Flags&command.KeyNotKey == 0 && covers(spec, frame, args, k) {
			flags = spec.Flags
			break
		}
	}
	return flags &^ (command.KeyIncomplete | command.KeyVariableFlags)
}

// covers reports whether a spec may have found the key at k.
func covers(spec *command.KeySpec, frame []byte, args []resp.Arg, k int) bool {
	switch spec.Begin {
	case command.BeginIndex:
		if k < spec.Index {
			return false
		}
		return spec.Find != command.FindRange || spec.LastKey < 0 || k <= spec.Index+spec.LastKey
	case command.BeginKeyword:
		if spec.Find == command.FindRange && spec.LastKey == 0 {
			return equalFold(argument(frame, args, k-1), strings.ToLower(spec.Keyword))
		}
		return hasWord(frame, args[:k], strings.ToLower(spec.Keyword))
	default:
		return true
	}
}

func hasWord(frame []byte, args []resp.Arg, word string) bool {
	for i := range args {
		if equalFold(argument(frame, args, i), word) {
			return true
		}
	}
	return false
}
