package redis

import (
	"math"

	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// hotkeysFuncs are the subcommands of HOTKEYS, in the shape that Redis 8.6 gave them
// (https://redis.io/docs/latest/commands/hotkeys/), for the whole cluster. All but HELP
// ask every loop of the service, so they are answered later.
var hotkeysFuncs = map[string]localFunc{
	"hotkeys|start": (*session).hotkeysStart,
	"hotkeys|get":   (*session).hotkeysGet,
	"hotkeys|stop":  (*session).hotkeysStop,
	"hotkeys|reset": (*session).hotkeysReset,
	"hotkeys|help": help(
		"HOTKEYS <subcommand> [<arg> ...]. One session at a time finds the heaviest keys of the whole cluster. Subcommands are:",
		"START METRICS <count> [CPU] [NET] [COUNT <k>] [DURATION <seconds>] [SAMPLE <ratio>] [SLOTS <count> <slot> ...]",
		"    Begin a session.",
		"GET",
		"    What the session has found, or what is hot when none was started.",
		"STOP",
		"    End the session and keep what it has found.",
		"RESET",
		"    Forget what the session has found.",
	),
}

func (s *session) hotkeysStart(info *command.Info, frame []byte, args []resp.Arg) {
	parser := startParser{frame: frame, args: args[2:]}
	spec, problem := parser.parse()
	if problem != "" {
		s.fail(info, "ERR "+problem)
		return
	}
	w := s.w
	s.answerLater(func(dst []byte) []byte {
		if !w.proc.startTracking(spec) {
			return w.failLater(info, dst, "ERR a HOTKEYS session is active already, stop it first")
		}
		return append(dst, "+OK\r\n"...)
	})
}

func (s *session) hotkeysStop(*command.Info, []byte, []resp.Arg) {
	p, resp3 := s.w.proc, s.resp3()
	s.answerLater(func(dst []byte) []byte {
		if !p.stopTracking(nil) {
			return resp.AppendNull(dst, resp3)
		}
		return append(dst, "+OK\r\n"...)
	})
}

func (s *session) hotkeysReset(info *command.Info, _ []byte, _ []resp.Arg) {
	w := s.w
	s.answerLater(func(dst []byte) []byte {
		if !w.proc.forgetTracking() {
			return w.failLater(info, dst, "ERR a HOTKEYS session is active, stop it first")
		}
		return append(dst, "+OK\r\n"...)
	})
}

func (s *session) hotkeysGet(info *command.Info, _ []byte, args []resp.Arg) {
	if len(args) > 2 {
		s.w.stats.countFailure(info)
		s.reply(command.AppendWrongArity(s.scratch(), info))
		return
	}
	p, resp3 := s.w.proc, s.resp3()
	s.answerLater(func(dst []byte) []byte {
		h, found, running := p.tracked()
		if h == nil {
			return appendHotList(dst, p.hotKeys(), resp3)
		}
		return appendTracked(dst, h, found, running, resp3)
	})
}

// failLater is fail for the work of answerLater.
func (w *worker) failLater(info *command.Info, dst []byte, text string) []byte {
	w.loop.Post(func() { w.stats.countFailure(info) })
	return resp.AppendError(dst, text)
}

// appendHotList appends what GET answers without a session: the form of Valkey, a map
// for each key, hottest first. It has no bound of its own, the report has.
func appendHotList(dst []byte, r *hotkey.Report, resp3 bool) []byte {
	if r == nil {
		return resp.AppendArrayHeader(dst, 0)
	}
	used := 0
	for used < len(r.Keys) && r.Keys[used].Count > 0 {
		used++ // behind them are those that were hot before
	}
	dst = resp.AppendArrayHeader(dst, used)
	for i := range used {
		k := &r.Keys[i]
		dst = resp.AppendMapHeader(dst, 3, resp3)
		dst = resp.AppendBulkString(dst, "key")
		dst = resp.AppendBulk(dst, k.Name)
		dst = appendNumber(dst, "db", 0)
		dst = appendNumber(dst, "qps", int64(math.Round(k.QPS)))
	}
	return dst
}

// appendTracked appends what a session has found: an array of one map, as several could
// come from several nodes.
func appendTracked(dst []byte, h *hotkeysSession, r *hotkeysResult, running, resp3 bool) []byte {
	m := fields{dst: make([]byte, 0, 1024)}
	m.number("tracking-active", int64(btoi(running)))
	m.number("sample-ratio", h.spec.sample)
	m.name("selected-slots")
	m.dst = appendSlotRanges(m.dst, h.spec.slots)
	if h.spec.cpu {
		m.usage(h, r, "sampled-commands-selected-slots-us", "all-commands-selected-slots-us", "all-commands-all-slots-us",
			func(u hotkey.Usage) int64 { return r.microseconds(u.Cost) })
	}
	if h.spec.net {
		m.usage(h, r, "net-bytes-sampled-commands-selected-slots", "net-bytes-all-commands-selected-slots", "net-bytes-all-commands-all-slots",
			func(u hotkey.Usage) int64 { return int64(u.Bytes) })
	}
	m.number("collection-start-time-unix-ms", h.started.UnixMilli())
	m.number("collection-duration-ms", r.took.Milliseconds())
	if h.spec.cpu {
		m.number("total-cpu-time-user-ms", r.cpu.user.Milliseconds())
		m.number("total-cpu-time-sys-ms", r.cpu.sys.Milliseconds())
		// Under these names go-redis looks for the same.
		m.number("used-cpu-user-ms", r.cpu.user.Milliseconds())
		m.number("used-cpu-sys-ms", r.cpu.sys.Milliseconds())
	}
	if h.spec.net {
		m.number("total-net-bytes", int64(r.All.Bytes))
	}
	if h.spec.cpu {
		m.keys("by-cpu-time-us", r.ByCost, r.microseconds)
	}
	if h.spec.net {
		m.keys("by-net-bytes", r.ByBytes, func(n uint64) int64 { return int64(n) })
	}
	dst = resp.AppendArrayHeader(dst, 1)
	dst = resp.AppendMapHeader(dst, m.n, resp3)
	return append(dst, m.dst...)
}

// fields is a map whose size is known at its end.
type fields struct {
	dst []byte
	n   int
}

func (m *fields) name(name string) {
	m.dst = resp.AppendBulkString(m.dst, name)
	m.n++
}

func (m *fields) number(name string, v int64) {
	m.name(name)
	m.dst = resp.AppendInt(m.dst, v)
}

// usage appends the totals of one metric. Those that say the same as another are left
// out.
func (m *fields) usage(h *hotkeysSession, r *hotkeysResult, sampled, selected, all string, value func(hotkey.Usage) int64) {
	if h.spec.slots != nil && h.spec.sample > 1 {
		m.number(sampled, value(r.Sampled))
	}
	if h.spec.slots != nil {
		m.number(selected, value(r.Selected))
	}
	m.number(all, value(r.All))
}

// keys appends keys and values by turns.
func (m *fields) keys(name string, list []hotkey.Weighted, value func(uint64) int64) {
	m.name(name)
	m.dst = resp.AppendArrayHeader(m.dst, 2*len(list))
	for i := range list {
		m.dst = resp.AppendBulk(m.dst, list[i].Name)
		m.dst = resp.AppendInt(m.dst, value(list[i].Weight))
	}
}

// appendSlotRanges appends an array of ranges, each an array of its first and its last
// slot, or of the one slot that it is; nil means all slots.
func appendSlotRanges(dst []byte, slots *hotkey.SlotSet) []byte {
	ranges := [][2]int{{0, lastSlot}}
	if slots != nil {
		ranges = slots.Ranges()
	}
	dst = resp.AppendArrayHeader(dst, len(ranges))
	for _, r := range ranges {
		if r[0] == r[1] {
			dst = resp.AppendArrayHeader(dst, 1)
			dst = resp.AppendInt(dst, int64(r[0]))
			continue
		}
		dst = resp.AppendArrayHeader(dst, 2)
		dst = resp.AppendInt(dst, int64(r[0]))
		dst = resp.AppendInt(dst, int64(r[1]))
	}
	return dst
}
