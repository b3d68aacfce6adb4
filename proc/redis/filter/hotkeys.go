package filter

import (
	"sync/atomic"

	"samaritan/hotkey"
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
)

// HotKeys counts what is needed to find hot keys. Hits are counted when a request is sent to a node,
// so that they show while the node does not answer; bytes of replies are added when these come. It
// counts what the node gets and sends: values in the form in which they are stored.
type HotKeys struct {
	loop    *eventloop.Loop
	rates   *HotRates
	sampler *hotkey.Sampler
	weight  int          // of the request that is being sent, 0: not in the sample
	batch   hotkey.Batch // hits of this iteration of the loop
	pending bool         // flush is to run at its end
	flush   func()
	sparing *hotkey.Sampler // takes some of these for what needs fewer of them: slots, and bytes of replies
	slots   *hotkey.Slots
	nodes   []*nodeCounter // of the nodes that have been used
	late    []hotkey.Reply
	large   largeValues
}

// nodeCounter counts at one node. It outlives the node until it has been read.
type nodeCounter struct {
	*hotkey.Counter
	addr string
	gone bool
}

// hotNote is about the bytes of the reply.
type hotNote struct {
	counter *hotkey.Counter // where they are counted, nil when they are not
	key     uint64          // hash of the key that they count for
	weight  uint32          // requests that this one stands for
}

const (
	// maxHitKeys is how many keys of one command are looked at; of more keys a share is.
	maxHitKeys = 64
	// spareRate is of how many requests a second the slot and the reply are counted, about.
	spareRate = 5000
	// maxLate is how many replies of an interval may be kept for requests of the one before.
	maxLate = 1024
)

// NewHotKeys makes a filter for a loop, on that loop.
func NewHotKeys(loop *eventloop.Loop, rates *HotRates) *HotKeys {
	now := loop.Now()
	h := &HotKeys{
		loop: loop, rates: rates,
		sampler: hotkey.NewSampler(now), sparing: hotkey.NewLimitedSampler(now, spareRate), slots: new(hotkey.Slots),
	}
	h.flush = h.flushPending
	h.LookForLarge()
	return h
}

// Hooks makes the filter a part of a chain.
func (h *HotKeys) Hooks() Hooks {
	return Hooks{WantsSent: h.wantsSent, Sent: h.sent, WantsReply: h.wantsReply, Reply: h.reply}
}

// Leave ends the filter: its share in the common rates is taken back.
func (h *HotKeys) Leave() {
	h.rates.sampled.leave(h.sampler)
	h.rates.spared.leave(h.sparing)
}

// Forget drops what the filter of hot keys keeps with a node.
func (n *Node) Forget() { n.hot = nil }

// Retire says that a node is no more. What was counted there is still to be read.
func (n *Node) Retire() {
	if n.hot != nil {
		n.hot.gone = true
	}
}

// counterAt returns the counter of a node: made on first use, or that of the same node as it was
// known before, when it has not been read yet.
func (h *HotKeys) counterAt(n *Node) *hotkey.Counter {
	if n.hot == nil {
		n.hot = h.place(n.Addr)
	}
	return n.hot.Counter
}

func (h *HotKeys) place(addr string) *nodeCounter {
	for _, p := range h.nodes {
		if p.addr == addr {
			p.gone = false
			return p
		}
	}
	p := &nodeCounter{Counter: hotkey.NewCounter(h.loop.Now()), addr: addr}
	h.nodes = append(h.nodes, p)
	return p
}

func (h *HotKeys) flushPending() {
	h.pending = false
	h.batch.Flush()
}

// Flush counts the hits that were held back. It has to come before the memory that their keys are
// in is used again; at the end of an iteration of the loop it comes by itself.
func (h *HotKeys) Flush() { h.batch.Flush() }

// wantsSent takes the sample.
func (h *HotKeys) wantsSent(keys, bytes int) bool {
	h.weight = h.sampler.Take(max(1, min(keys, maxHitKeys)))
	return h.weight > 0 || bytes >= h.large.from
}

// sent counts the keys of a request, if it is in the sample.
func (h *HotKeys) sent(r *Sending) {
	switch {
	case h.weight == 0:
	case r.Keys == nil:
		h.countKey(r, h.weight, int(r.Info.SimpleKey))
	case len(r.Keys) == 1:
		h.countKey(r, h.weight, r.Keys[0])
	default:
		h.countKeys(r, h.weight)
	}
	if len(r.Frame) >= h.large.from {
		h.noteRequest(r)
	}
}

func (h *HotKeys) countKey(r *Sending, weight, arg int) {
	counter := h.counterAt(r.Node)
	key := argument(r.Frame, r.Args[arg])
	hit := h.batch.Add(counter)
	*hit = hotkey.Hit{
		Key: key, Hash: hotkey.Hash(key), Weight: weight, Now: r.Start, Bytes: len(r.Frame),
		Slot: r.Slot, Command: r.Info.ID, Client: r.Caller, Write: !r.Info.Flags.Has(command.ReadOnly),
	}
	h.countRest(r, counter, weight, hit.Hash, hit.Write)
}

// countKeys counts several keys of one slot. Of very many a share is counted for all.
func (h *HotKeys) countKeys(r *Sending, weight int) {
	counter, n := h.counterAt(r.Node), len(r.Keys)
	step := (n + maxHitKeys - 1) / maxHitKeys
	chosen := h.sampler.Pick(n)
	hit := hotkey.Hit{
		Weight: weight * step, Now: r.Start, Bytes: len(r.Frame) / n,
		Slot: r.Slot, Command: r.Info.ID, Client: r.Caller, Write: !r.Info.Flags.Has(command.ReadOnly),
	}
	var hash uint64
	first := (step - chosen%step) % step // so that the chosen one, whose turn it is, is among them
	for i := first; i < n; i += step {
		hit.Key = argument(r.Frame, r.Args[r.Keys[i]])
		hit.Hash = hotkey.Hash(hit.Key)
		*h.batch.Add(counter) = hit
		if i <= chosen || hash == 0 {
			hash = hit.Hash
		}
	}
	h.countRest(r, counter, weight, hash, hit.Write)
}

// countRest counts a request by its slot, and takes care that the bytes of the reply will be
// counted as those of the key with that hash; or it leaves the request out.
func (h *HotKeys) countRest(r *Sending, counter *hotkey.Counter, weight int, hash uint64, write bool) {
	switch {
	case len(r.Frame) >= LargeFrame:
		h.batch.Flush()
	case !h.pending:
		h.pending = true
		h.loop.AtEnd(h.flush)
	}
	if more := h.sparing.Take(1); more > 0 {
		r.Note.hot = hotNote{counter: counter, key: hash, weight: uint32(weight * more)}
		h.slots.Request(r.Slot, write, len(r.Frame), weight*more)
	}
}

func (h *HotKeys) wantsReply(_ *command.Info, note *Note, reply []byte) bool {
	return note.hot.counter != nil || len(reply) >= h.large.from
}

// reply adds the bytes of a reply to the slot and the key of its request, or to one of the keys,
// each in its turn.
func (h *HotKeys) reply(r *Reply) Verdict {
	if n := &r.Note.hot; n.counter != nil {
		bytes := len(r.Bytes) * int(n.weight)
		h.slots.Replied(uint16(r.Slot), bytes)
		if !n.counter.Replied(n.key, bytes) && r.Start < n.counter.Since() && len(h.late) < maxLate {
			h.late = append(h.late, hotkey.Reply{Hash: n.key, Bytes: uint64(bytes)})
		}
	}
	if len(r.Bytes) >= h.large.from {
		h.noteReply(r)
	}
	return Pass
}

// PaceDue tells whether there have been so many requests that Pace should not wait.
func (h *HotKeys) PaceDue(now int64) bool { return h.sampler.Due(now) }

// Pace adapts the counting to the traffic. It is to be called some times a second, and when PaceDue
// says so.
func (h *HotKeys) Pace(now int64) {
	h.rates.sampled.pace(h.sampler, now)
	h.rates.spared.pace(h.sparing, now)
}

// HotRates is what the filters of all loops of a service know of each other: how many keys a second
// there are, so that together they look at no more than one would. The zero value is ready.
type HotRates struct{ sampled, spared sharedRate }

type sharedRate struct{ sum atomic.Int64 } // keys a second

func (r *sharedRate) pace(s *hotkey.Sampler, now int64) {
	before := int64(s.Rate())
	s.SetOthers(float64(r.sum.Load() - before))
	s.Pace(now)
	if after := int64(s.Rate()); after != before {
		r.sum.Add(after - before)
	}
}

// leave takes back what a sampler that is not paced any more has added.
func (r *sharedRate) leave(s *hotkey.Sampler) { r.sum.Add(-int64(s.Rate())) }

// CountsAt is what was counted at one node.
type CountsAt struct {
	Addr   string         // host:port
	Counts *hotkey.Counts // nil when there is no further counter
	Now    int64          // loop time
}

// CutNode takes what the i-th counter has counted, in exchange for spare, and goes on to the next. That
// of a node that is no more ends with it.
func (h *HotKeys) CutNode(i *int, spare *hotkey.Counts) CountsAt {
	if *i >= len(h.nodes) {
		return CountsAt{}
	}
	h.Flush()
	at := h.nodes[*i]
	if at.gone {
		h.nodes = append(h.nodes[:*i], h.nodes[*i+1:]...)
	} else {
		*i++
	}
	now := h.loop.Now()
	return CountsAt{Addr: at.addr, Counts: at.Cut(spare, now), Now: now}
}

// Rest is what was counted for all nodes together.
type Rest struct {
	Largest hotkey.Largest
	Late    []hotkey.Reply // to requests of the interval before
	Now     int64          // loop time
}

// CutRest exchanges the counts of slots for the empty ones given, and takes the rest.
func (h *HotKeys) CutRest(slots **hotkey.Slots) Rest {
	h.slots, *slots = *slots, h.slots
	rest := Rest{Now: h.loop.Now(), Largest: h.large.values, Late: h.late}
	h.late = nil
	h.large.values.Clear()
	h.LookForLarge()
	return rest
}
