package redis

import (
	"runtime"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/filter"
	"samaritan/proc/redis/resp"
)

// chainUp makes the chain of the filters that there are now, in the order from client to node:
// what counts sees what the node gets.
func (w *worker) chainUp() {
	hooks := []filter.Hooks{w.compress.Hooks()}
	if w.hot != nil {
		hooks = append(hooks, w.hot.Hooks())
	}
	if w.tracker != nil {
		hooks = append(hooks, w.tracker.filter.Hooks())
	}
	w.filters = filter.NewChain(hooks...)
}

// setHotKeys begins or ends the counting of hot keys.
func (w *worker) setHotKeys(enable bool) {
	if enable == (w.hot != nil) {
		return
	}
	if enable {
		w.hot = filter.NewHotKeys(w.loop, &w.proc.hot.rates)
	} else {
		w.hot.Leave()
		w.hot = nil
		for _, n := range w.nodes {
			n.filters.Forget()
		}
	}
	w.chainUp()
}

// flushHits counts the hits whose keys are in memory that is about to be dropped.
func (w *worker) flushHits() {
	if w.hot != nil {
		w.hot.Flush()
	}
}

// showSent shows the filters a request that is about to be sent to a node for the first time. frame is
// memory of the node's client.
func (s *session) showSent(r *request, c *client, frame []byte, args []resp.Arg, keys []int) {
	f := &s.w.sending // field by field: the whole would be cleared and copied
	f.Info, f.Frame, f.Args, f.Keys = r.info, frame, args, keys
	f.Node, f.Note, f.Start, f.Slot = &c.node.filters, &r.note, r.start, r.slot
	if f.Caller = s.caller; f.Caller == 0 {
		f.Caller = s.callerNumber()
	}
	s.w.filters.Sent(f)
}

// filtered tells whether filters see the reply: it is one to a command of a client.
func (r *request) filtered() bool {
	return (r.kind == kindPlain || r.kind == kindPart) && r.info != nil
}

// filterReply has a final reply of a node seen by the filters and hands over what they make of it.
func (w *worker) filterReply(r *request, reply []byte, src eventloop.Memory) {
	if !r.filtered() || !w.filters.WantsReply(r.info, &r.note, reply) {
		w.finish(r, reply, src)
		return
	}
	f := &w.arrived
	f.Info, f.Note, f.Request, f.Start = r.info, &r.note, r.frame, r.start
	f.Slot, f.Unread = -1, r.unread()
	if r.has(reqRouted) {
		f.Slot = int(r.slot)
	}
	r.surround(f)
	f.Begin(reply)
	w.passReply(r, w.filters, f, src)
}

// passReply has a reply seen by the rest of a chain and hands over what comes out. src is what it lies in as
// long as no filter has changed it.
func (w *worker) passReply(r *request, chain *filter.Chain, f *filter.Reply, src eventloop.Memory) {
	switch chain.Reply(f) {
	case filter.Changed:
		memory := f.Memory
		f.Memory = nil
		r.takes(len(f.Bytes))
		if f.Bytes[0] == '-' {
			r.flags |= reqFailed
		}
		w.finish(r, f.Bytes, memory)
		memory.Release()
	case filter.Later:
		if f.Memory != nil {
			src = f.Memory
		}
		w.holdReply(r, chain, f, src)
	default:
		w.finish(r, f.Bytes, src)
	}
}

// workLater does the work of a filter for a session on a goroutine, and what is to follow on the loop. in is
// what is worked on. When the session is gone before the work has begun, it is left out.
func (w *worker) workLater(s *session, in eventloop.Ref, work filter.Work, then func()) {
	bytes := in.Bytes()
	turns := shortWork
	if work.Long() {
		turns = longWork
	}
	w.proc.laters.Go(func() {
		turns <- struct{}{}
		if !s.gone.Load() {
			work.Do(bytes)
		}
		<-turns
		w.loop.Post(then)
	})
}

// shortWork and longWork bound how many goroutines of the process work for filters at a time: the loops need
// processors, too.
var shortWork, longWork = workTurns(), workTurns()

func workTurns() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

// heldRequest is a request of a session that waits for the work of a filter.
type heldRequest struct {
	chain   *filter.Chain
	request filter.Request
	gone    bool // nobody wants it any more
}

// drop lets go of what the filters have made.
func (h *heldRequest) drop() {
	h.gone = true
	if h.request.Memory != nil {
		h.request.Memory.Release()
		h.request.Memory = nil
	}
}

// dropHeld is called when the request that the session was held back with has ended, or the session has.
func (s *session) dropHeld() {
	if s.held != nil {
		s.held.drop()
		s.held = nil
	}
	if s.made != nil {
		s.made.Release()
		s.made = nil
	}
}

// filter has a command that can be sent now seen by the filters. It returns what is to be sent. Otherwise
// goOn is false: the command has been answered, or is not taken up yet.
func (s *session) filter(info *command.Info, frame []byte, args []resp.Arg, keys []int) (_ []byte, _ []resp.Arg, goOn, taken bool) {
	w := s.w
	f, chain := &w.request, w.filters
	if h := s.held; h != nil {
		s.held = nil
		*f, chain = h.request, h.chain
		if f.Memory == nil {
			f.Frame, f.Args = frame, args // where it is now
		}
		f.Keys = keys
	} else {
		f.Begin(info, frame, args, keys)
	}
	verdict := chain.Request(f)
	if verdict != filter.Later {
		s.made, f.Memory = f.Memory, nil // given back when the command has been sent, or answered
	}
	switch verdict {
	case filter.Changed:
		s.frameIn = nil
		if len(f.Frame) >= shareMin && s.made != nil && len(f.Frame) >= min(cap(s.made.B)/2, heavyFrame) {
			s.frameIn = s.made // else little would hold much memory
		}
		return f.Frame, f.Args, true, true
	case filter.Answered:
		w.stats.countError(info)
		s.reply(append(w.tmp[:0], f.Answer...))
		return nil, nil, false, true
	case filter.Later:
		s.holdFor(chain, f)
		return nil, nil, false, false
	}
	return frame, args, true, true
}

// holdFor holds the session back while a filter works on its request.
func (s *session) holdFor(chain *filter.Chain, f *filter.Request) {
	h := &heldRequest{chain: chain, request: *f}
	f.Memory, f.Work = nil, nil
	s.held = h
	s.stop |= stopFilter
	in := s.pin(&h.request)
	s.w.workLater(s, in, h.request.Work, func() {
		h.request.Finish()
		in.Buf.Release()
		if h.gone {
			h.drop()
			return
		}
		s.allow(stopFilter)
	})
}

// pin keeps the frame of a request where it is, or copies it.
func (s *session) pin(f *filter.Request) eventloop.Ref {
	switch {
	case f.Memory != nil:
		return f.Memory.Share(f.Frame)
	case s.frameIn != nil:
		return s.frameIn.Share(f.Frame)
	}
	return s.w.keep(f.Frame, nil)
}

// storedBroken tells of a stored value that cannot be decompressed.
func (w *worker) storedBroken(r *filter.Reply, err error) {
	w.proc.warn.Warn("a stored value cannot be decompressed, the client gets it as it is", "command", r.Info.Name, "key", firstKey(r), "error", err)
}

// firstKey is the beginning of the first key of a request.
func firstKey(r *filter.Reply) string {
	var p resp.Parser
	frame := r.Request.Bytes()
	if _, err := p.Parse(frame); err != nil {
		return ""
	}
	keys, err := r.Info.Keys(nil, frame, p.Args)
	if err != nil || len(keys) == 0 {
		return ""
	}
	key := argument(frame, p.Args, keys[0])
	return string(key[:min(len(key), 100)])
}

// partArgs says where the arguments of a part lie in its frame.
type partArgs struct {
	args []resp.Arg
	keys []int // the indexes of the keys
}

// reset begins with the name of the command.
func (p *partArgs) reset(off, n int) {
	p.args = append(p.args[:0], resp.Arg{Off: uint32(off), Len: uint32(n)})
	p.keys = p.keys[:0]
}

// add adds a key and what belongs to it. The n bytes from off on in the part's frame are the bytes of those
// arguments in the original one, from the length line of the first to the line end of the last.
func (p *partArgs) add(args []resp.Arg, off, n int) {
	p.keys = append(p.keys, len(p.args))
	last := args[len(args)-1]
	shift := uint32(off+n-len("\r\n")) - last.Off - last.Len
	for _, a := range args {
		p.args = append(p.args, resp.Arg{Off: a.Off + shift, Len: a.Len})
	}
}
