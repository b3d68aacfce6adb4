package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// split is a command whose parts go to several slots or nodes, and the replies to
// them. It is not atomic over slots; the keys of one slot stay together.
type split struct {
	w      *worker
	parent *request // its place in the session's order
	merge  merge
	parts  []part
	order  []int32 // the part that each key went to, in the order of the keys
	next   []int32 // for each key the next one of the same part
	left   int     // parts without a reply
	failed int     // index of the part whose reply is the error of the whole, -1: none
	lost   bool    // a part of MGET has failed: nobody will see the others
	sum    int64   // mergeSum
	steps  *steps  // when it goes key by key, else nil
}

// part is what one slot or node contributes.
type part struct {
	slot    uint16
	to      *client       // where it goes
	replica bool          // chosen by the read strategy
	first   int32         // index of its first key (sendSplit), of its node (sendAll)
	last    int32         // index of its last key
	keys    int32         // so many
	size    int           // bytes of its arguments in the original frame
	reply   eventloop.Ref // its reply
	rest    []byte        // while merging: elements not used yet
}

// merge is how the replies become one.
type merge uint8

const (
	mergeMGet   merge = iota // elements by key
	mergeOK                  // OK when all are
	mergeSum                 // integers are added
	mergeSame                // any of them, as all are alike
	mergeAnd                 // arrays of 0 and 1, element by element
	mergeConcat              // arrays one behind the other
	mergeOne                 // the first success
	mergeFound               // the first that is not null
)

// slotMarks finds the part of a slot without searching: an entry counts only when it
// was written by the split that is being made now.
type slotMarks struct {
	round   uint32
	written [cluster.Slots]uint32 // the round
	part    [cluster.Slots]int32
}

func (w *worker) newSplit(parent *request, m merge) *split {
	var sp *split
	if n := len(w.splits); n > 0 {
		sp = w.splits[n-1]
		w.splits = w.splits[:n-1]
	} else {
		sp = new(split)
	}
	*sp = split{w: w, parent: parent, merge: m, failed: -1, parts: sp.parts[:0], order: sp.order[:0], next: sp.next[:0]}
	return sp
}

func (w *worker) recycleSplit(sp *split) {
	for i := range sp.parts {
		if b := sp.parts[i].reply.Buf; b != nil {
			b.Release()
		}
		sp.parts[i] = part{}
	}
	sp.parent, sp.steps = nil, nil
	if cap(sp.parts) <= 1024 && len(w.splits) < 256 {
		w.splits = append(w.splits, sp)
	}
}

// sendSplit cuts a command with one key per argument (or per pair) into one part per
// slot. All parts are sent, or none.
func (s *session) sendSplit(info *command.Info, frame []byte, args []resp.Arg, keys []int) bool {
	w := s.w
	r := w.newRequest(s, info, kindSplit)
	sp := w.newSplit(r, splitMerge[info.Split])
	r.split = sp
	step := 1
	if info.Split == command.SplitMSet {
		step = 2
	}
	sp.bySlot(frame, args, keys, step)
	if len(s.wholes) > 0 && sp.mustWait(s, info, frame, args, keys) {
		w.drop(r)
		return false
	}
	for i := range sp.parts {
		if w.unsettled != nil && s.mustWaitAlone(sp.parts[i].slot) {
			w.drop(r)
			return false
		}
		c, replica, problem := w.pick(info, sp.parts[i].slot, s.lane())
		if problem == "" && !c.full() {
			sp.parts[i].to, sp.parts[i].replica = c, replica
			continue
		}
		w.drop(r)
		if problem != "" {
			s.refuse(info, problem)
			return true
		}
		return s.waitFor(c)
	}
	if s.held != nil || w.filters.WantsRequest(info, frame, args) {
		var goOn, taken bool
		if frame, args, goOn, taken = s.filter(info, frame, args, keys); !goOn {
			w.drop(r)
			return taken
		}
	}
	sp.measure(frame, args, keys, step)
	s.push(r)
	sp.left = len(sp.parts)
	for i := range sp.parts {
		sp.sendPart(int32(i), info, frame, args, keys, step)
	}
	return true
}

// bySlot finds the parts: one per slot, with its keys as a list through next.
func (sp *split) bySlot(frame []byte, args []resp.Arg, keys []int, step int) {
	m := &sp.w.marks
	m.round++
	for i, k := range keys {
		slot := cluster.Slot(argument(frame, args, k))
		if m.written[slot] != m.round {
			m.written[slot] = m.round
			m.part[slot] = int32(len(sp.parts))
			sp.parts = append(sp.parts, part{slot: slot, first: int32(i), last: int32(i)})
		}
		n := m.part[slot]
		p := &sp.parts[n]
		sp.order = append(sp.order, n)
		sp.next = append(sp.next, -1)
		if int(p.last) != i {
			sp.next[p.last] = int32(i)
			p.last = int32(i)
		}
		p.keys++
	}
}

// measure finds how large the parts are.
func (sp *split) measure(frame []byte, args []resp.Arg, keys []int, step int) {
	for i, k := range keys {
		sp.parts[sp.order[i]].size += len(rawArguments(frame, args, k, step))
	}
}

// rawArguments is n arguments from index i on as they stand in the frame, with their
// length lines and line ends.
func rawArguments(frame []byte, args []resp.Arg, i, n int) []byte {
	last := args[i+n-1]
	return frame[args[i-1].Off+args[i-1].Len+2 : last.Off+last.Len+2]
}

// sendPart writes the command for one slot into the window of its node's client.
func (sp *split) sendPart(i int32, info *command.Info, frame []byte, args []resp.Arg, keys []int, step int) {
	w := sp.w
	p := &sp.parts[i]
	r := w.newRequest(nil, info, kindPart)
	r.split, r.part, r.slot = sp, i, p.slot
	r.flags |= reqRouted
	if p.replica {
		r.flags |= reqReplica
	}

	c, name := p.to, argument(frame, args, 0)
	b := c.reserve(32 + len(name) + p.size)
	off := len(b.B)
	b.B = resp.AppendArrayHeader(b.B, 1+int(p.keys)*step)
	b.B = resp.AppendBulk(b.B, name)
	sent := &w.partArgs
	sent.reset(len(b.B)-off-len(name)-len("\r\n"), len(name))
	for j := p.first; j >= 0; j = sp.next[j] {
		raw := rawArguments(frame, args, keys[j], step)
		sent.add(args[keys[j]:keys[j]+step], len(b.B)-off, len(raw))
		b.B = append(b.B, raw...)
	}
	b.Retain()
	if p.keys > 1 {
		sp.parent.sess.hold(r, sp.keySet(p, info, frame, args, keys))
	}
	if w.filters.WantsSent(int(p.keys), len(b.B)-off) {
		sp.parent.sess.showSent(r, c, b.B[off:], sent.args, sent.keys)
	}
	c.send(r, eventloop.Ref{Buf: b, Off: off, Len: len(b.B) - off})
}

// mustWait tells whether a part has to wait for an earlier command.
func (sp *split) mustWait(s *session, info *command.Info, frame []byte, args []resp.Arg, keys []int) bool {
	for i := range sp.parts {
		if s.mustWait(sp.parts[i].slot, sp.keySet(&sp.parts[i], info, frame, args, keys)) {
			return true
		}
	}
	return false
}

// keySet is the keys of one part, good until the next set is made.
func (sp *split) keySet(p *part, info *command.Info, frame []byte, args []resp.Arg, keys []int) *keySet {
	set := &sp.w.set
	set.reset(info)
	for j := p.first; j >= 0; j = sp.next[j] {
		set.add(argument(frame, args, keys[j]))
	}
	return set
}

// part takes the reply to one part.
func (sp *split) part(r *request, reply []byte, src eventloop.Memory) {
	p := &sp.parts[r.part]
	p.reply = sp.w.keep(reply, src)
	sp.lost = sp.lost || sp.merge == mergeMGet && r.has(reqFailed)
	sp.w.recycle(r)
	sp.left--
	if sp.steps != nil {
		sp.w.nextStep(sp)
		return
	}
	if sp.left > 0 {
		return
	}
	w, parent := sp.w, sp.parent
	if sp.check(); sp.failed >= 0 {
		parent.flags |= reqFailed
	}
	w.observe(parent)
	s := parent.sess
	switch {
	case s == nil:
		w.drop(parent)
	case s.head == parent:
		sp.emit(s, parent)
		s.advance()
	default:
		parent.flags |= reqDone
	}
}
