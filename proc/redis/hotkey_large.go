package redis

import (
	"math"

	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

const (
	// maxLargeLooks is how many large requests and replies are looked at between two sweeps,
	// some three a millisecond at most; then only what is larger than all of them.
	maxLargeLooks = 256
	// noLargeValues is the size from which values are of interest while none are.
	noLargeValues = math.MaxInt
)

// lookForLarge begins anew to look at all that is large.
func (w *worker) lookForLarge() {
	if w.hot != nil {
		w.largeLeft, w.largeMost = maxLargeLooks, 0
		w.largeFrom = w.hot.largest.From()
	}
}

// looked is called when a request or reply of that size has been looked at.
func (w *worker) looked(size int) {
	w.largeMost = max(w.largeMost, size)
	w.largeFrom = w.hot.largest.From()
	if w.largeLeft--; w.largeLeft <= 0 {
		w.largeFrom = max(w.largeFrom, w.largeMost+1)
	}
}

func (w *worker) offerLarge(r *request, key []byte, size int) {
	w.hot.largest.Offer(key, hotkey.Hash(key), r.slot, r.info.ID, size, w.loop.Now())
}

// noteRequest enters the values that a large request brings among the largest. keys is as
// in countHits. Of a command with several keys it can be told for pairs of keys and values
// only what belongs to which.
func (w *worker) noteRequest(r *request, frame []byte, args []resp.Arg, keys []int) {
	defer w.looked(len(frame))
	switch {
	case !r.info.Flags.Has(command.Write) || r.info.Group == "scripting" || r.info.ID == sortID:
	case r.info.Split == command.SplitMSet || r.info.ID == msetnxID:
		for _, k := range keys {
			w.offerLarge(r, argument(frame, args, k), int(args[k+1].Len))
		}
	case keys == nil:
		w.noteArguments(r, frame, args, int(r.info.SimpleKey))
	case len(keys) == 1:
		w.noteArguments(r, frame, args, keys[0])
	}
}

var (
	msetnxID = command.Lookup([]byte("msetnx")).ID
	sortID   = command.Lookup([]byte("sort")).ID // may write, but nothing that it brings
)

// noteArguments enters what a command with one key brings: a value, which may have
// options, or many small ones together.
func (w *worker) noteArguments(r *request, frame []byte, args []resp.Arg, key int) {
	largest, all := 0, 0
	for i := 1; i < len(args); i++ {
		if i != key {
			largest = max(largest, int(args[i].Len))
			all += int(args[i].Len)
		}
	}
	if largest > all/2 {
		all = largest
	}
	w.offerLarge(r, argument(frame, args, key), all)
}

// noteLarge enters the values of a large reply among the largest.
func (w *worker) noteLarge(r *request, reply []byte) {
	if r.info == nil || !r.has(reqRouted) || reply[0] == '-' || reply[0] == '!' {
		return
	}
	defer w.looked(len(reply))
	if r.info.Group == "scripting" {
		return // what a script makes is no value
	}
	frame := r.frame.Bytes()
	p := &w.frames
	defer p.Reset()
	if n, err := p.Parse(frame); err != nil || n != len(frame) {
		return
	}
	keys, err := r.info.Keys(w.keys[:0], frame, p.Args)
	w.keys = keys
	if err == nil && len(keys) > 0 {
		w.noteReply(r, frame, p.Args, keys, reply)
	}
}

// noteReply looks at what a command has got. What one with several keys has got is
// nobody's, but that of MGET.
func (w *worker) noteReply(r *request, frame []byte, args []resp.Arg, keys []int, reply []byte) {
	typ, n, body, err := resp.Header(reply)
	switch {
	case err != nil:
	case typ == '*' && r.info.Split == command.SplitMGet && int(n) == len(keys):
		for _, k := range keys {
			elem, rest, err := resp.Next(body)
			if err != nil {
				return
			}
			if typ, n, _, _ := resp.Header(elem); typ == '$' {
				w.offerLarge(r, argument(frame, args, k), int(n))
			}
			body = rest
		}
	case len(keys) > 1:
	case typ == '$' || typ == '=':
		w.offerLarge(r, argument(frame, args, keys[0]), int(n))
	default:
		w.offerLarge(r, argument(frame, args, keys[0]), len(reply))
	}
}
