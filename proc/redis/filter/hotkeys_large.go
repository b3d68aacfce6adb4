package filter

import (
	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// maxLargeLooks is how many large requests and replies are looked at between two calls of
// LookForLarge, some three a millisecond at most; then only what is larger than all of them.
const maxLargeLooks = 256

// largeValues is the largest values seen, and how much of the traffic is still looked at for more.
type largeValues struct {
	values  hotkey.Largest
	from    int // size of a request or reply from which on its values may be among the largest
	left    int // looks
	most    int // the size of the largest that was looked at
	parser  resp.Parser
	scratch []int
}

// LookForLarge begins anew to look at all that is large. It is to be called a few times a second.
func (h *HotKeys) LookForLarge() {
	h.large.left, h.large.most = maxLargeLooks, 0
	h.large.from = h.large.values.From()
}

// looked is called when a request or reply of that size has been looked at.
func (l *largeValues) looked(size int) {
	l.most = max(l.most, size)
	l.from = l.values.From()
	if l.left--; l.left <= 0 {
		l.from = max(l.from, l.most+1)
	}
}

func (h *HotKeys) offerLarge(info *command.Info, slot uint16, key []byte, size int) {
	h.large.values.Offer(key, hotkey.Hash(key), slot, info.ID, size, h.loop.Now())
}

var (
	msetnxID = command.Lookup([]byte("msetnx")).ID
	sortID   = command.Lookup([]byte("sort")).ID // may write, but nothing that it brings
)

// noteRequest enters the values that a large request brings among the largest. Of a command with
// several keys it can be told for pairs of keys and values only what belongs to which.
func (h *HotKeys) noteRequest(r *Sending) {
	defer h.large.looked(len(r.Frame))
	switch {
	case !r.Info.Flags.Has(command.Write) || r.Info.Group == "scripting" || r.Info.ID == sortID:
	case r.Info.Split == command.SplitMSet || r.Info.ID == msetnxID:
		for _, k := range r.Keys {
			if k+1 < len(r.Args) { // the last value may be missing: that is for the node to say
				h.offerLarge(r.Info, r.Slot, argument(r.Frame, r.Args[k]), int(r.Args[k+1].Len))
			}
		}
	case r.Keys == nil:
		h.noteArguments(r, int(r.Info.SimpleKey))
	case len(r.Keys) == 1:
		h.noteArguments(r, r.Keys[0])
	}
}

// noteArguments enters what a command with one key brings: a value, which may have
// options, or many small ones together.
func (h *HotKeys) noteArguments(r *Sending, key int) {
	largest, all := 0, 0
	for i := 1; i < len(r.Args); i++ {
		if i != key {
			largest = max(largest, int(r.Args[i].Len))
			all += int(r.Args[i].Len)
		}
	}
	if largest > all/2 {
		all = largest
	}
	h.offerLarge(r.Info, r.Slot, argument(r.Frame, r.Args[key]), all)
}

// noteReply enters the values of a large reply among the largest.
func (h *HotKeys) noteReply(r *Reply) {
	if r.Info == nil || r.Slot < 0 || r.Bytes[0] == '-' || r.Bytes[0] == '!' {
		return
	}
	defer h.large.looked(len(r.Bytes))
	if r.Info.Group == "scripting" {
		return // what a script makes is no value
	}
	frame := r.Request.Bytes()
	p := &h.large.parser
	defer p.Reset()
	if n, err := p.Parse(frame); err != nil || n != len(frame) {
		return
	}
	keys, err := r.Info.Keys(h.large.scratch[:0], frame, p.Args)
	h.large.scratch = keys
	if err == nil && len(keys) > 0 {
		h.noteValues(r, frame, p.Args, keys)
	}
}

// noteValues looks at what a command has got. What one with several keys has got is
// nobody's, but that of MGET.
func (h *HotKeys) noteValues(r *Reply, frame []byte, args []resp.Arg, keys []int) {
	slot := uint16(r.Slot)
	typ, n, body, err := resp.Header(r.Bytes)
	switch {
	case err != nil:
	case typ == '*' && r.Info.Split == command.SplitMGet && int(n) == len(keys):
		for _, k := range keys {
			elem, rest, err := resp.Next(body)
			if err != nil {
				return
			}
			if typ, n, _, _ := resp.Header(elem); typ == '$' {
				h.offerLarge(r.Info, slot, argument(frame, args[k]), int(n))
			}
			body = rest
		}
	case len(keys) > 1:
	case typ == '$' || typ == '=':
		h.offerLarge(r.Info, slot, argument(frame, args[keys[0]]), int(n))
	default:
		h.offerLarge(r.Info, slot, argument(frame, args[keys[0]]), len(r.Bytes))
	}
}
