package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/filter"
	"samaritan/proc/redis/resp"
)

// chainUp makes the chain of the filters that there are now, in the order from client to node:
// what counts sees what the node gets.
func (w *worker) chainUp() {
	var hooks []filter.Hooks
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
	w := s.w
	w.sending = filter.Request{
		Info: r.info, Frame: frame, Args: args, Keys: keys,
		Node: &c.node.filters, Note: &r.note, Start: r.start, Caller: s.callerNumber(), Slot: r.slot,
	}
	w.filters.Sent(&w.sending)
}

// filtered tells whether filters see the reply: it is one to a command of a client.
func (r *request) filtered() bool {
	return (r.kind == kindPlain || r.kind == kindPart) && r.info != nil
}

// filterReply has a final reply of a node seen by the filters and hands over what they make of it.
func (w *worker) filterReply(r *request, reply []byte, src eventloop.Memory) {
	if !w.filters.HasReply() || !r.filtered() {
		w.finish(r, reply, src)
		return
	}
	f := &w.arrived
	*f = filter.Reply{
		Info: r.info, Note: &r.note, Request: r.frame, Start: r.start, Slot: -1, Unread: r.unread(), Bytes: reply,
	}
	if r.has(reqRouted) {
		f.Slot = int(r.slot)
	}
	w.filters.Reply(f)
	w.finish(r, reply, src)
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
