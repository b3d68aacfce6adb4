// Package filter has what looks at the requests of a Redis service on their way to a node, and at
// the replies on their way back, and may change both.
//
// A filter is a set of hooks, and belongs to one event loop. A Chain is the filters of a service on
// one loop, in the order from client to node; replies pass it the other way round. A chain never
// changes: new settings make a new one, and what is in flight then has its reply seen by the
// new one.
//
//	client → Request ............... Sent → node
//	         once for a command,     once for each message:
//	         before it is cut        the command or a part of it
//
//	client ← ................. Reply ← node
//	                           once for each message
//
// No hook is called twice for the same thing, but for a filter that has looked through a large reply beside the loop: a redirection, another attempt after a lost
// connection and a command that goes on key by key send the bytes that the filters have left. A
// redirection is no reply. Errors that the proxy itself gives instead of a reply are not seen.
package filter

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// Hooks is what a filter wants to be called for; nil where it does not. They are called on the loop
// of the filter.
type Hooks struct {
	// Request sees a command that is about to be sent. It may change it, or answer it.
	Request func(*Request) Verdict
	// WantsRequest is asked for each command whether Request wants to see it; nil means yes. It is there so
	// that what nobody wants costs next to nothing. Request may be called all the same.
	WantsRequest func(info *command.Info, frame []byte, args []resp.Arg) bool
	// Sent sees what is sent.
	Sent func(*Sending)
	// WantsSent is to Sent as WantsRequest to Request, by how many keys and bytes there are.
	WantsSent func(keys, bytes int) bool
	// Reply sees a reply. It may change it.
	Reply func(*Reply) Verdict
	// WantsReply is to Reply as WantsRequest to Request.
	WantsReply func(info *command.Info, note *Note, reply []byte) bool
}

// Verdict is what a hook has decided.
type Verdict uint8

const (
	// Pass leaves things as they are.
	Pass Verdict = iota
	// Changed says that there are other bytes now.
	Changed
	// Answered says that the request is not to be sent: Answer is the reply.
	Answered
	// Later says that there will be other bytes when Work has been done.
	Later
)

// Request is a command of a client. It is good for the duration of a call.
type Request struct {
	Info  *command.Info
	Frame []byte     // an array of bulk strings
	Args  []resp.Arg // where they lie in Frame
	Keys  []int      // which of them are keys; nil when it is the one at Info.SimpleKey, or when there are none

	// Memory is what a changed Frame lies in, with a reference for the caller; nil when Frame is memory
	// of the filter, good until the next call (no filter behind it may then ask for Later). A change leaves the number of arguments as it is,
	// and the keys.
	Memory *eventloop.Buf
	// Answer is the reply of Answered: memory of the filter, good until the next call.
	Answer []byte
	// Work is what is to be done for Later. Frame and Args must stay as they are until then.
	Work Work

	progress
}

// Sending is what is sent to a node: a command or a part of one. It is good for the duration of a
// call.
type Sending struct {
	Info *command.Info
	// Frame is as in Request. It stays where it is until the reply to it, or the end of the iteration of
	// the loop, unless it has LargeFrame bytes or more.
	Frame  []byte
	Args   []resp.Arg
	Keys   []int
	Node   *Node
	Note   *Note
	Start  int64  // when the command was accepted, loop time
	Caller uint32 // who has sent it
	Slot   uint16
}

// progress is how far something has come in a chain.
type progress struct {
	passed  int // filters that have seen it
	changed bool
}

// goesOn takes up what a filter says, and reports whether the next one is to see it.
func (p *progress) goesOn(v Verdict) bool {
	if v == Changed {
		p.changed = true
	}
	return v == Pass || v == Changed
}

func (p *progress) verdict() Verdict {
	if p.changed {
		return Changed
	}
	return Pass
}

// Finish ends the work that Request has asked for. Frame and Args are as they were then.
func (r *Request) Finish() {
	b, args := r.Work.Finish()
	r.Work = nil
	if b != nil {
		release(r.Memory)
		r.Frame, r.Args, r.Memory, r.changed = b.B, args, b, true
	}
}

// Begin has the chain start with another command.
func (r *Request) Begin(info *command.Info, frame []byte, args []resp.Arg, keys []int) {
	r.Info, r.Frame, r.Args, r.Keys, r.progress = info, frame, args, keys, progress{}
}

// Begin has the chain start with another reply.
func (r *Reply) Begin(bytes []byte) {
	r.Bytes, r.progress = bytes, progress{}
}

// Finish ends the work that Reply has asked for. Bytes is as it was then.
func (r *Reply) Finish() {
	b, _ := r.Work.Finish()
	if w, ok := r.Work.(*searchWork); ok && w.done {
		r.found = &w.found
		r.passed-- // its filter has more to do
	}
	r.Work = nil
	if b != nil {
		release(r.Memory)
		r.Bytes, r.Memory, r.changed = b.B, b, true
	}
}

// LargeFrame is the size in bytes from which frames are kept by reference and may move.
const LargeFrame = 32 << 10

// Reply is a reply of a node. It is good for the duration of a call.
type Reply struct {
	Info    *command.Info
	Note    *Note
	Request eventloop.Ref // as it was sent
	Start   int64         // as in Sending
	Slot    int           // -1: the request went to any node
	Unread  bool          // nobody waits for it any more
	Bytes   []byte        // one whole reply

	// Beside is how many bytes other replies take that become one with it.
	Beside int
	// Crowded says that much memory is held for who waits for it: what makes it larger is to be left for Work.
	Crowded bool

	// Memory is what changed Bytes lie in, with a reference for the caller.
	Memory *eventloop.Buf
	// Work is what is to be done for Later. Bytes must stay as they are until then.
	Work ReplyWork

	found *search // what Work has found
	progress
}

// ReplyWork is work on a reply.
type ReplyWork interface {
	Work
	// Room is the most bytes that the reply may have then; 0 for work that only looks, and after which the
	// filter is called once more.
	Room() int
	// Begin takes memory for them. It is called on the loop before Do, and may be long after the hook.
	Begin()
}

// Work is what takes so long that the loop should not wait for it.
type Work interface {
	// Long tells whether it takes so long that short work should not wait for it.
	Long() bool
	// Do makes other bytes of the frame or the reply. It is called on another goroutine.
	Do(bytes []byte)
	// Finish is called on the loop when Do has returned, also when nobody waits any more; and without Do, when
	// that was so before. It returns
	// the other bytes, with a reference for the caller, and where the arguments of a frame lie in them; nil
	// leaves things as they are.
	Finish() (*eventloop.Buf, []resp.Arg)
}

// Node is what filters keep with a node.
type Node struct {
	Addr string // host:port
	hot  *nodeCounter
}

// Note is what filters keep with a request until its reply.
type Note struct{ hot hotNote }

// Chain is the filters of a service on one loop.
type Chain struct {
	request      []func(*Request) Verdict
	wantsRequest []func(*command.Info, []byte, []resp.Arg) bool
	sent         []func(*Sending)
	wantsSent    []func(keys, bytes int) bool
	reply        []func(*Reply) Verdict
	wantsReply   []func(*command.Info, *Note, []byte) bool
}

// NewChain makes a chain of filters in the order from client to node.
func NewChain(filters ...Hooks) *Chain {
	c := &Chain{}
	for i := range filters {
		if h := &filters[i]; h.Request != nil {
			c.request = append(c.request, h.Request)
			if h.WantsRequest == nil {
				h.WantsRequest = func(*command.Info, []byte, []resp.Arg) bool { return true }
			}
			c.wantsRequest = append(c.wantsRequest, h.WantsRequest)
		}
		if h := &filters[i]; h.Sent != nil {
			c.sent = append(c.sent, h.Sent)
			if h.WantsSent == nil {
				h.WantsSent = func(int, int) bool { return true }
			}
			c.wantsSent = append(c.wantsSent, h.WantsSent)
		}
		if h := &filters[len(filters)-1-i]; h.Reply != nil {
			c.reply = append(c.reply, h.Reply)
			if h.WantsReply == nil {
				h.WantsReply = func(*command.Info, *Note, []byte) bool { return true }
			}
			c.wantsReply = append(c.wantsReply, h.WantsReply)
		}
	}
	return c
}

// WantsRequest tells whether Request is to be called. It has to be asked once for each command.
func (c *Chain) WantsRequest(info *command.Info, frame []byte, args []resp.Arg) bool {
	wanted := false
	for _, wants := range c.wantsRequest {
		if wants(info, frame, args) {
			wanted = true // the others are asked, too: they may count what there is
		}
	}
	return wanted
}

// WantsSent tells whether Sent is to be called. It has to be asked once for each message.
func (c *Chain) WantsSent(keys, bytes int) bool {
	wanted := false
	for _, wants := range c.wantsSent {
		if wants(keys, bytes) {
			wanted = true
		}
	}
	return wanted
}

// WantsReply tells whether Reply is to be called. It has to be asked once for each reply.
func (c *Chain) WantsReply(info *command.Info, note *Note, reply []byte) bool {
	wanted := false
	for _, wants := range c.wantsReply {
		if wants(info, note, reply) {
			wanted = true
		}
	}
	return wanted
}

// Request has a command seen by the filters. After Later it is to be called again when the work has
// been done and finished, and goes on with the next filter. Keys are to be set again then.
//
// A filter that changes what an earlier one has changed gives that one's memory back.
func (c *Chain) Request(r *Request) Verdict {
	for r.passed < len(c.request) {
		r.passed++
		if v := c.request[r.passed-1](r); !r.goesOn(v) {
			return v
		}
	}
	return r.verdict()
}

// Sent shows the filters what is sent.
func (c *Chain) Sent(r *Sending) {
	for _, sent := range c.sent {
		sent(r)
	}
}

// Reply has a reply seen by the filters. After Later it is to be called again when the work has
// been done and finished, and goes on with the next filter; or with the same one, when the work was to find out what
// there is to do.
func (c *Chain) Reply(r *Reply) Verdict {
	for r.passed < len(c.reply) {
		r.passed++
		if v := c.reply[r.passed-1](r); !r.goesOn(v) {
			return v
		}
	}
	return r.verdict()
}

func release(b *eventloop.Buf) {
	if b != nil {
		b.Release()
	}
}

func argument(frame []byte, a resp.Arg) []byte { return frame[a.Off : a.Off+a.Len] }
