package redis

import (
	"strconv"
	"time"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// Error texts that several commands share; they are Redis' own.
const (
	errSyntax   = "ERR syntax error"
	errInteger  = "ERR value is not an integer or out of range"
	errWrongPas = "WRONGPASS invalid username-password pair or user is disabled."
)

// maxScratch is how large the worker's scratch may stay after a local reply. A few
// are large (COMMAND, ECHO of a large text), and rare.
const maxScratch = 64 << 10

// localFunc answers a request: it calls one of answer, fail and the like exactly
// once, unless the command has no reply at all.
type localFunc func(s *session, info *command.Info, frame []byte, args []resp.Arg)

// localTable has the function of each command that the proxy answers, by Info.ID;
// nil where there is none. It is not changed once it is made.
var localTable = makeLocalTable()

func makeLocalTable() []localFunc {
	table := make([]localFunc, command.Count())
	add := func(infos []*command.Info, byName map[string]localFunc) {
		for _, i := range infos {
			table[i.ID] = byName[i.Name]
		}
	}
	byName := localFuncs()
	for _, i := range command.All() {
		add([]*command.Info{i}, byName)
		add(i.Subcommands, byName)
	}
	return table
}

func localFuncs() map[string]localFunc {
	all := map[string]localFunc{
		"ping":       (*session).ping,
		"echo":       (*session).echo,
		"quit":       (*session).quit,
		"time":       (*session).time,
		"select":     (*session).selectDB,
		"auth":       (*session).auth,
		"hello":      (*session).hello,
		"reset":      (*session).reset,
		"info":       (*session).info,
		"acl|whoami": (*session).whoAmI,
		"readonly":   (*session).accept,
		"readwrite":  (*session).accept,
		"asking":     (*session).accept,
	}
	for _, group := range []map[string]localFunc{clientFuncs, commandFuncs, configFuncs, clusterFuncs, hotkeyFuncs, hotkeysFuncs} {
		for name, f := range group {
			all[name] = f
		}
	}
	return all
}

// local answers a command that no node is asked for. Its arity is checked and it is
// counted already.
func (s *session) local(info *command.Info, frame []byte, args []resp.Arg) {
	f := localTable[info.ID]
	if f == nil {
		f = (*session).unsupported
	}
	f(s, info, frame, args)
}

// needsQuiet tells, by Info.ID, which local commands wait until nothing of their session
// is in flight. Some may change the protocol version: the requests before them went out
// on the node connections of the old version, those behind them go out on others, and
// keep their order only if they wait. Others ask all loops (session.answerLater).
var needsQuiet = makeNeedsQuiet()

func makeNeedsQuiet() []bool {
	quiet := make([]bool, command.Count())
	for id := range quiet {
		switch command.ByID(uint16(id)).Name {
		case "hello", "reset", "hotkey|reset", "hotkeys|start", "hotkeys|get", "hotkeys|stop", "hotkeys|reset":
			quiet[id] = true
		}
	}
	return quiet
}

// scratch is where a local reply is built.
func (s *session) scratch() []byte { return s.w.tmp[:0] }

func (s *session) resp3() bool { return s.state.Proto == 3 }

// answer is reply for what may be large. One that has to wait for its turn counts for
// the size that is expected of replies at once: a client must not pile up hundreds of
// them behind a slow request.
func (s *session) answer(b []byte) {
	if s.head != nil && len(b) > s.replySize {
		s.replySize += (len(b) - s.replySize + 7) >> 3
	}
	s.reply(b)
	if cap(s.w.tmp) > maxScratch {
		s.w.tmp = nil
	}
}

// fail answers a command that is counted already with an error; text is without the
// leading minus.
func (s *session) fail(info *command.Info, text string) {
	s.w.stats.countFailure(info)
	s.answer(resp.AppendError(s.scratch(), text))
}

func (s *session) ok() { s.reply(append(s.scratch(), "+OK\r\n"...)) }

// accept answers OK to what needs nothing else done.
func (s *session) accept(*command.Info, []byte, []resp.Arg) { s.ok() }

// unsupported is for commands that belong here but are not written yet.
func (s *session) unsupported(info *command.Info, _ []byte, _ []resp.Arg) {
	s.fail(info, "ERR samaritan: '"+info.Name+"' is not supported yet")
}

func (s *session) ping(_ *command.Info, frame []byte, args []resp.Arg) {
	switch len(args) {
	case 1:
		s.reply(append(s.scratch(), "+PONG\r\n"...))
	case 2:
		s.answer(resp.AppendBulk(s.scratch(), argument(frame, args, 1)))
	default:
		// The table has a minimum only, as Redis' own has.
		s.w.stats.countFailure(pingInfo)
		s.reply(command.AppendWrongArity(s.scratch(), pingInfo))
	}
}

var pingInfo = command.Lookup([]byte("ping"))

func (s *session) echo(_ *command.Info, frame []byte, args []resp.Arg) {
	s.answer(resp.AppendBulk(s.scratch(), argument(frame, args, 1)))
}

func (s *session) quit(*command.Info, []byte, []resp.Arg) {
	s.ok()
	s.finish()
}

func (s *session) time(*command.Info, []byte, []resp.Arg) {
	now := time.Now()
	b := resp.AppendArrayHeader(s.scratch(), 2)
	b = resp.AppendBulkString(b, strconv.FormatInt(now.Unix(), 10))
	b = resp.AppendBulkString(b, strconv.Itoa(now.Nanosecond()/1000))
	s.reply(b)
}

// selectDB knows database 0 only, as a cluster does, but with the error of a server
// that has no more of them.
func (s *session) selectDB(info *command.Info, frame []byte, args []resp.Arg) {
	v, ok := integer(argument(frame, args, 1))
	switch {
	case !ok:
		s.fail(info, errInteger)
	case int64(int32(v)) != v:
		s.fail(info, "ERR value is out of range, value must between -2147483648 and 2147483647")
	case v != 0:
		s.fail(info, "ERR DB index is out of range")
	default:
		s.ok()
	}
}

// auth behaves as a server without a password: anybody is the default user.
func (s *session) auth(info *command.Info, frame []byte, args []resp.Arg) {
	switch {
	case len(args) > 3:
		s.fail(info, errSyntax)
	case len(args) == 2:
		s.fail(info, "ERR AUTH <password> called without any password configured for the default user. "+
			"Are you sure your configuration is correct?")
	case !isDefaultUser(argument(frame, args, 1)):
		s.fail(info, errWrongPas)
	default:
		s.ok()
	}
}

// isDefaultUser: unlike nearly everything else, the names of users have a case.
func isDefaultUser(name []byte) bool { return string(name) == "default" }

func (s *session) whoAmI(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendBulkString(s.scratch(), "default"))
}

// reset takes back what the client has told and switched. Its own reply is sent even
// after CLIENT REPLY OFF.
func (s *session) reset(*command.Info, []byte, []resp.Arg) {
	if s.state.ReplyOff {
		s.mute = false
	}
	s.state = sessionState{
		ID: s.state.ID, Proto: 2, Created: s.state.Created,
		LibName: s.state.LibName, LibVersion: s.state.LibVersion,
	}
	s.caller = 0
	s.reply(append(s.scratch(), "+RESET\r\n"...))
}

// appendHelp appends a help text, one line an element as in Redis.
func appendHelp(dst []byte, lines []string) []byte {
	dst = resp.AppendArrayHeader(dst, len(lines))
	for _, line := range lines {
		dst = resp.AppendSimple(dst, line)
	}
	return dst
}

// help makes the function that answers with a help text.
func help(lines ...string) localFunc {
	lines = append(lines, "HELP", "    Prints this help.")
	return func(s *session, _ *command.Info, _ []byte, _ []resp.Arg) {
		s.reply(appendHelp(s.scratch(), lines))
	}
}

// integer reads a number as strictly as Redis does: no blanks, no plus, no leading
// zeros, within 64 bits.
func integer(b []byte) (v int64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil
}

// cString is what C's %s prints of an argument.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
