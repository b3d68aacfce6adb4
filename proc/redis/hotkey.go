package redis

import (
	"sync/atomic"

	"samaritan/hotkey"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// hotCounts is what a worker counts to find hot keys. Hits are counted when a request is
// sent to a node for the first time, so that they show while the node does not answer;
// bytes of replies are added when these come.
type hotCounts struct {
	sampler *hotkey.Sampler
	batch   hotkey.Batch // hits of this iteration of the loop
	pending bool         // flush is to run at its end
	flush   func()
	sparing *hotkey.Sampler // takes some of these for what needs fewer of them: slots, and bytes of replies
	slots   *hotkey.Slots
	largest hotkey.Largest
	placed  []*placedCounter // of the nodes that have been used
	late    []hotkey.Reply
}

// placedCounter counts at one node. It outlives the node until it has been read.
type placedCounter struct {
	*hotkey.Counter
	addr string
	gone bool
}

const (
	// maxHitKeys is how many keys of one command are looked at; of more keys a share is.
	maxHitKeys = 64
	// spareRate is of how many requests a second the slot and the reply are counted, about.
	spareRate = 5000
)

// setHotKeys begins or ends the counting.
func (w *worker) setHotKeys(enable bool) {
	if enable == (w.hot != nil) {
		return
	}
	if enable {
		now := w.loop.Now()
		w.hot = &hotCounts{
			sampler: hotkey.NewSampler(now), sparing: hotkey.NewLimitedSampler(now, spareRate), slots: new(hotkey.Slots),
		}
		w.hot.flush = w.hot.flushNow
		w.lookForLarge()
		return
	}
	w.proc.hot.sampled.leave(w.hot.sampler)
	w.proc.hot.spared.leave(w.hot.sparing)
	w.hot = nil
	w.largeFrom = noLargeValues
	for _, n := range w.nodes {
		n.hot = nil
	}
}

// counterAt returns the counter of a node, made on first use.
func (w *worker) counterAt(n *node) *hotkey.Counter {
	if n.hot == nil {
		n.hot = w.hot.place(n.addr, w.loop.Now())
	}
	return n.hot.Counter
}

// place returns a counter for a node: a new one, or that of the same node as it was known
// before, when it has not been read yet.
func (h *hotCounts) place(addr string, now int64) *placedCounter {
	for _, p := range h.placed {
		if p.addr == addr {
			p.gone = false
			return p
		}
	}
	p := &placedCounter{Counter: hotkey.NewCounter(now), addr: addr}
	h.placed = append(h.placed, p)
	return p
}

// flushNow counts the hits that were held back. It has to come before the memory that their
// keys are in is used again, which is the windows of the nodes' clients.
func (h *hotCounts) flushNow() {
	h.pending = false
	h.batch.Flush()
}

// flushHits is flushNow for when requests are dropped that may be in the batch.
func (w *worker) flushHits() {
	if w.hot != nil {
		w.hot.batch.Flush()
	}
}

// countHits counts the keys of a command in the sample that is about to be sent to one
// node. frame is the one that the node's client has. keys is nil when there is one, where
// SimpleKey says.
func (s *session) countHits(r *request, c *client, weight int, frame []byte, args []resp.Arg, keys []int) {
	switch w := s.w; {
	case keys == nil:
		w.countKey(s, r, c, weight, argument(frame, args, int(r.info.SimpleKey)), len(frame))
	case len(keys) == 1:
		w.countKey(s, r, c, weight, argument(frame, args, keys[0]), len(frame))
	default:
		w.countKeys(s, r, c, weight, len(keys), len(frame), func(i int) []byte { return argument(frame, args, keys[i]) })
	}
}

// countHits counts the keys of a part. frame is the command, and sent what the part sends
// of it, of which the first key's argument begins at pos.
func (sp *split) countHits(r *request, c *client, frame []byte, args []resp.Arg, keys []int, sent []byte, pos, step int) {
	w, s := sp.w, sp.parent.sess
	p := &sp.parts[r.part]
	if weight := w.hot.sampler.Take(min(int(p.keys), maxHitKeys)); weight > 0 {
		j := p.first
		next := func(int) []byte {
			k := keys[j]
			raw := rawArguments(frame, args, k, step)
			line := len(rawArguments(frame, args, k, 1)) - int(args[k].Len) - len("\r\n")
			key := sent[pos+line : pos+line+int(args[k].Len)]
			pos += len(raw)
			j = sp.next[j]
			return key
		}
		if p.keys == 1 {
			w.countKey(s, r, c, weight, next(0), len(sent))
		} else {
			w.countKeys(s, r, c, weight, int(p.keys), len(sent), next)
		}
	}
	if len(sent) < w.largeFrom || r.info.Split != command.SplitMSet {
		return // the others bring keys only
	}
	some := make([]int, 0, 8)
	for j := p.first; j >= 0; j = sp.next[j] {
		some = append(some, keys[j])
	}
	w.noteRequest(r, frame, args, some)
}

// countKey counts the use of a key. size is that of the request.
func (w *worker) countKey(s *session, r *request, c *client, weight int, key []byte, size int) {
	counter := w.counterAt(c.node)
	h := w.hot.batch.Add(counter)
	*h = hotkey.Hit{
		Key: key, Hash: hotkey.Hash(key), Weight: weight, Now: r.start, Bytes: size,
		Slot: r.slot, Command: r.info.ID, Client: s.callerNumber(), Write: !r.info.Flags.Has(command.ReadOnly),
	}
	w.countRest(r, counter, weight, h.Hash, h.Write, size)
}

// countKeys counts the use of n keys of one slot, which next returns one after the
// other. Of very many keys a share is counted for all.
func (w *worker) countKeys(s *session, r *request, c *client, weight, n, size int, next func(i int) []byte) {
	counter := w.counterAt(c.node)
	step := (n + maxHitKeys - 1) / maxHitKeys
	chosen := w.hot.sampler.Pick(n)
	hit := hotkey.Hit{
		Weight: weight * step, Now: r.start, Bytes: size / n,
		Slot: r.slot, Command: r.info.ID, Client: s.callerNumber(), Write: !r.info.Flags.Has(command.ReadOnly),
	}
	var hash uint64
	for i := range n {
		hit.Key = next(i)
		if (i+chosen)%step != 0 {
			continue
		}
		hit.Hash = hotkey.Hash(hit.Key)
		*w.hot.batch.Add(counter) = hit
		if i <= chosen {
			hash = hit.Hash
		}
	}
	w.countRest(r, counter, weight, hash, hit.Write, size)
}

// countRest counts a request by its slot, and takes care that the bytes of the reply will be
// counted as those of the key with that hash; or it leaves the request out.
func (w *worker) countRest(r *request, counter *hotkey.Counter, weight int, hash uint64, write bool, size int) {
	switch {
	case size >= shareMin:
		w.hot.batch.Flush() // large memory may move before the end of the iteration
	case !w.hot.pending:
		w.hot.pending = true
		w.loop.AtEnd(w.hot.flush)
	}
	if more := w.hot.sparing.Take(1); more > 0 {
		r.hotAt, r.hotKey, r.hotWeight = counter, hash, uint32(weight*more)
		w.hot.slots.Request(r.slot, write, size, weight*more)
	}
}

// maxLate is how many replies of an interval may be kept for requests of the one before.
const maxLate = 1024

// countReply adds the bytes of a reply to the slot and the key of its request, or to one
// of the keys, each in its turn.
func (w *worker) countReply(r *request, size int) {
	h := w.hot
	if h == nil {
		return
	}
	bytes := size * int(r.hotWeight)
	h.slots.Replied(r.slot, bytes)
	if !r.hotAt.Replied(r.hotKey, bytes) && r.start < r.hotAt.Since() && len(h.late) < maxLate {
		h.late = append(h.late, hotkey.Reply{Hash: r.hotKey, Bytes: uint64(bytes)})
	}
}

// paceHotKeys adapts the counting to the traffic, now and then.
func (w *worker) paceHotKeys(now int64) {
	if w.hot == nil {
		return
	}
	w.proc.hot.sampled.pace(w.hot.sampler, now)
	w.proc.hot.spared.pace(w.hot.sparing, now)
}

// sharedRate is the keys a second of all workers, so that together they look at no more
// than one would.
type sharedRate struct{ sum atomic.Int64 }

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
