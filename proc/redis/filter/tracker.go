package filter

import (
	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// Tracker counts the keys of requests that nodes have answered, for a HOTKEYS session.
type Tracker struct {
	found  *hotkey.Tracker
	parser resp.Parser
	keys   []int // scratch
}

// maxTrackedKeys is how many keys of one command the scratch is kept for.
const maxTrackedKeys = 4096

// NewTracker makes a filter that counts into found.
func NewTracker(found *hotkey.Tracker) *Tracker { return &Tracker{found: found} }

// Hooks makes the filter a part of a chain.
func (t *Tracker) Hooks() Hooks { return Hooks{Reply: t.reply} }

// reply counts a request with the reply of a node. Its bytes and its cost are divided evenly among
// the keys of the command. Each part of a command that was cut is a request of its own.
func (t *Tracker) reply(r *Reply) Verdict {
	if r.Info == nil || r.Request.Buf == nil {
		return Pass
	}
	bytes := uint64(r.Request.Len + len(r.Bytes))
	if t.found.Request(r.Slot, bytes) {
		t.count(r.Info, r.Request.Bytes(), bytes)
	}
	return Pass
}

// count attributes a request to its keys.
func (t *Tracker) count(info *command.Info, frame []byte, bytes uint64) {
	defer t.parser.Reset()
	if n, err := t.parser.Parse(frame); err != nil || n != len(frame) {
		return
	}
	args := t.parser.Args
	keys, err := info.Keys(t.keys[:0], frame, args)
	if t.keys = keys; cap(keys) > maxTrackedKeys {
		t.keys = nil
	}
	if err != nil || len(keys) == 0 {
		return
	}
	n := uint64(len(keys))
	for _, i := range keys {
		t.found.Key(argument(frame, args[i]), bytes/n, hotkey.Cost(bytes)/n)
	}
}
