package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/filter"
)

// kind says what becomes of the reply to a request.
type kind uint8

const (
	kindPlain     kind = iota // it is the session's reply
	kindLocal                 // answered by the proxy, waiting for its turn
	kindSplit                 // made of the replies to its parts
	kindPart                  // goes to the split that the part belongs to
	kindScan                  // a page of SCAN, its cursor to be translated
	kindScanRun               // a page to be sent waits in reply; this asks which process the node is
	kindScanState             // a page to be sent waits in reply; this asks what the node sees of the cluster
	kindScanOwner             // a page to be sent waits in reply; this asks where its slot migrates to
	kindScanCheck             // a last page of a range waits in reply; this asks what the node owns
	kindDropped               // nobody waits for it: the OK to an ASKING, the late reply to a request that timed out
)

// request is one command of a session, or a part of one, from the moment it is
// accepted until its reply has been handed over. Records are pooled by worker.
type request struct {
	next  *request      // in the session's order, or in the free list
	sess  *session      // nil once the session is gone: the reply is dropped
	split *split        // kindSplit: its own; kindPart: the one it belongs to
	info  *command.Info // what the client sent
	frame eventloop.Ref // the bytes at the node's client, held until the reply is final
	reply eventloop.Ref // an early reply, held until it is this request's turn
	start int64         // loop time at which it was accepted
	sent  int64         // loop time at which it was sent to the node
	scan  scanPosition  // kindScan
	part  int32         // kindPart: index into split.parts
	taken int32         // bytes that the reply to a command of a client takes decompressed, of all its parts
	slot  uint16        // meaningful when routed
	hops  uint8         // redirections and retries so far
	waits uint8         // of those, TRYAGAIN
	kind  kind
	flags requestFlags

	waiting *heldReply // replies to it that wait for its turn to be decompressed

	note filter.Note // of the filters
}

type requestFlags uint8

const (
	reqDone    requestFlags = 1 << iota // its reply is there
	reqMuted                            // CLIENT REPLY OFF or SKIP: no reply
	reqAway                             // in session.away
	reqRouted                           // slot is meaningful
	reqReplica                          // sent to a replica by the read strategy
	reqRetried                          // sent a second time after its connection broke
	reqFailed                           // its reply is an error
	reqWhole                            // in session.wholes
)

func (r *request) has(f requestFlags) bool { return r.flags&f != 0 }

func (w *worker) newRequest(s *session, info *command.Info, k kind) *request {
	r := w.free
	if r == nil {
		r = new(request)
	} else {
		w.free = r.next
	}
	*r = request{sess: s, info: info, kind: k, start: w.loop.Now()}
	return r
}

// recycle takes back a record that nothing refers to any more.
func (w *worker) recycle(r *request) {
	r.dropFrame()
	if r.reply.Buf != nil {
		r.reply.Buf.Release()
	}
	if r.taken > 0 && r.sess != nil {
		r.sess.decoded -= int(r.taken)
	}
	*r = request{next: w.free}
	w.free = r
}

func (r *request) dropFrame() {
	if r.frame.Buf != nil {
		r.frame.Buf.Release()
		r.frame.Buf = nil
	}
}

func (r *request) dropReply() {
	if r.reply.Buf != nil {
		r.reply.Buf.Release()
		r.reply.Buf = nil
	}
}

// whole is the command of a client that the request is, or is a part of.
func (r *request) whole() *request {
	for r.kind == kindPart {
		r = r.split.parent
	}
	return r
}

// owner is the session that waits for the reply, directly or through a split.
func (r *request) owner() *session { return r.whole().sess }

// unread tells whether nobody will see the reply.
func (r *request) unread() bool {
	for r.kind == kindPart {
		if r.split.lost {
			return true
		}
		r = r.split.parent
	}
	return r.sess == nil || r.has(reqMuted)
}
