package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// keyByKey does a command with several keys in one slot as one command for each key,
// one after the other: the way out when the slot's keys stay spread over two nodes for
// so long that waiting has no end. False means that the command cannot be cut.
func (w *worker) keyByKey(r *request) bool {
	s := r.owner()
	if s == nil || r.info.Split == command.SplitNone {
		return false
	}
	var p resp.Parser
	frame := r.frame.Bytes()
	if n, err := p.Parse(frame); err != nil || n != len(frame) {
		return false
	}
	keys, err := r.info.Keys(nil, frame, p.Args)
	if err != nil || len(keys) < 2 {
		return false
	}
	w.stats.upstream.keyByKey++
	sp := w.newSplit(r, splitMerge[r.info.Split])
	sp.steps = &steps{args: p.Args, keys: keys, lane: s.lane()}
	for i := range keys {
		sp.parts = append(sp.parts, part{slot: r.slot, keys: 1})
		sp.order = append(sp.order, int32(i))
	}
	sp.left = len(keys)
	w.nextStep(sp)
	return true
}

// steps is what a split that goes key by key knows about the command.
type steps struct {
	args []resp.Arg // of the whole command, whose bytes its request has kept
	keys []int      // indexes into args
	lane lane
	next int  // index of the first key that has not been sent
	busy bool // nextStep is at work: it sees by itself that a step has failed at once
}

// isStep tells whether the request is for one key of a command that goes key by key.
func (r *request) isStep() bool { return r.kind == kindPart && r.split.steps != nil }

// nextStep sends the command for the next key, and for those behind it as long as they
// fail at once.
func (w *worker) nextStep(sp *split) {
	st := sp.steps
	if st.busy {
		return
	}
	st.busy = true
	for sp.left > 0 && st.next == len(st.keys)-sp.left {
		i := st.next
		st.next++
		w.sendStep(sp, i)
	}
	st.busy = false
	if sp.left == 0 {
		w.finishSteps(sp)
	}
}

func (w *worker) sendStep(sp *split, i int) {
	st, whole := sp.steps, sp.parent
	r := w.newRequest(nil, whole.info, kindPart)
	r.split, r.part, r.slot, r.start = sp, int32(i), whole.slot, whole.start // all keys share one time limit
	r.flags |= reqRouted
	if r.owner() == nil {
		w.fail(r, "ERR samaritan: the client is gone")
		return
	}
	c, replica, problem := w.pick(r.info, r.slot, st.lane)
	if problem != "" {
		w.fail(r, problem)
		return
	}
	if replica {
		r.flags |= reqReplica
	}
	step := 1
	if whole.info.Split == command.SplitMSet {
		step = 2
	}
	frame := whole.frame.Bytes()
	name, rest := argument(frame, st.args, 0), rawArguments(frame, st.args, st.keys[i], step)
	b := c.reserve(32 + len(name) + len(rest))
	off := len(b.B)
	b.B = resp.AppendArrayHeader(b.B, 1+step)
	b.B = resp.AppendBulk(b.B, name)
	b.B = append(b.B, rest...)
	b.Retain()
	r.frame = eventloop.Ref{Buf: b, Off: off, Len: len(b.B) - off}
	w.resend(r, c, false)
}

// finishSteps answers the command.
func (w *worker) finishSteps(sp *split) {
	whole := sp.parent
	sp.check()
	out := w.tmp[:0]
	switch {
	case sp.failed >= 0:
		whole.flags |= reqFailed
		out = append(out, sp.parts[sp.failed].reply.Bytes()...)
	case sp.merge == mergeMGet:
		out = resp.AppendArrayHeader(out, len(sp.parts))
		for i := range sp.parts {
			out = append(out, sp.parts[i].rest...)
		}
	case sp.merge == mergeSum:
		out = resp.AppendInt(out, sp.sum)
	default:
		out = append(out, "+OK\r\n"...)
	}
	w.recycleSplit(sp)
	w.finish(whole, out, nil)
	if cap(out) <= shareMin {
		w.tmp = out[:0]
	}
}
