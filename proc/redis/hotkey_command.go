package redis

import (
	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

const (
	errHotKeysOff = "ERR samaritan: hot keys are switched off (redis_option.hot_keys.enable)"
	errCount      = "ERR count should be greater than 0"
)

// hotkeyFuncs are HOTKEY and its subcommands. They show the report of the last
// interval, which is about the whole service: all loops, all nodes.
var hotkeyFuncs = map[string]localFunc{
	"hotkey":       (*session).hotkeyText,
	"hotkey|big":   (*session).hotkeyBig,
	"hotkey|list":  (*session).hotkeyList,
	"hotkey|reset": (*session).hotkeyReset,
	"hotkey|slots": (*session).hotkeySlots,
	"hotkey|help": help(
		"HOTKEY <subcommand> [<arg> ...]. Subcommands are:",
		"(no subcommand)",
		"    The hottest keys as text, those with the highest counters first.",
		"BIG [COUNT <count>]",
		"    The largest values that were seen in the last hour.",
		"LIST [COUNT <count>]",
		"    The hottest keys with all that is known of them, those with the most hits first.",
		"RESET",
		"    Forgets all that was counted.",
		"SLOTS [BYTES] [COUNT <count>]",
		"    The hottest hash slots of the last interval, by requests or by bytes.",
	),
}

// hotReport is what there is to show; nothing while hot keys are switched off,
// whatever was known before.
func (s *session) hotReport() *hotkey.Report {
	if !s.w.settings.hot.enable {
		return noHotKeys
	}
	return s.w.proc.hotKeys()
}

var noHotKeys = &hotkey.Report{SampleRate: 1}

func (s *session) hotkeyText(*command.Info, []byte, []resp.Arg) {
	s.answer(appendHotText(s.scratch(), s.hotReport(), s.resp3()))
}

func (s *session) hotkeyList(info *command.Info, frame []byte, args []resp.Arg) {
	if o, ok := s.hotkeyOptions(info, frame, args); ok {
		s.answer(appendHotKeys(s.scratch(), s.hotReport(), o.count, s.resp3()))
	}
}

func (s *session) hotkeySlots(info *command.Info, frame []byte, args []resp.Arg) {
	o, ok := s.hotkeyOptions(info, frame, args)
	if !ok {
		return
	}
	r := s.hotReport()
	slots := r.SlotsByRequests
	if o.bytes {
		slots = r.SlotsByBytes
	}
	s.answer(appendHotSlots(s.scratch(), slots, o.count, s.w.owner, s.resp3()))
}

func (s *session) hotkeyBig(info *command.Info, frame []byte, args []resp.Arg) {
	if o, ok := s.hotkeyOptions(info, frame, args); ok {
		s.answer(appendHotValues(s.scratch(), s.hotReport().Values, o.count, s.resp3()))
	}
}

// hotkeyReset also works while hot keys are switched off. What the session sends
// behind it is not counted any more before everything is forgotten.
func (s *session) hotkeyReset(*command.Info, []byte, []resp.Arg) {
	p := s.w.proc
	s.answerLater(func(dst []byte) []byte {
		p.resetHotKeys()
		return append(dst, "+OK\r\n"...)
	})
}

// owner returns the address of the master of a slot, "" when it has none or is not
// known yet.
func (w *worker) owner(slot int) string {
	if w.view == nil {
		return ""
	}
	return masterOf(w.view.slots, slot)
}

// hotkeyOptions reads what follows the subcommand. If it is wrong, or hot keys are
// switched off, the error is answered.
func (s *session) hotkeyOptions(info *command.Info, frame []byte, args []resp.Arg) (o hotkeyOptions, ok bool) {
	o, problem := parseHotkeyOptions(frame, args[2:], info.ID == hotkeySlotsID)
	if problem == "" && !s.w.settings.hot.enable {
		problem = errHotKeysOff
	}
	if problem != "" {
		s.fail(info, problem)
	}
	return o, problem == ""
}

var hotkeySlotsID = command.Lookup([]byte("hotkey")).Sub([]byte("slots")).ID

// hotkeyOptions are the arguments of HOTKEY LIST, SLOTS and BIG.
type hotkeyOptions struct {
	count int  // how many to show at most, 0 for all
	bytes bool // SLOTS only: by bytes and not by requests
}

// parseHotkeyOptions returns what is wrong as an error text. Options may come in any
// order, and of those given twice the last counts, as in SCAN.
func parseHotkeyOptions(frame []byte, args []resp.Arg, withBytes bool) (o hotkeyOptions, problem string) {
	for i := 0; i < len(args); i++ {
		switch name := argument(frame, args, i); {
		case equalFold(name, "count") && i+1 < len(args):
			i++
			if o.count, problem = parseCount(argument(frame, args, i)); problem != "" {
				return o, problem
			}
		case equalFold(name, "bytes") && withBytes:
			o.bytes = true
		default:
			return o, errSyntax
		}
	}
	return o, ""
}

func parseCount(b []byte) (n int, problem string) {
	v, ok := integer(b)
	switch {
	case !ok:
		return 0, errInteger
	case v < 1:
		return 0, errCount
	}
	return int(v), ""
}
