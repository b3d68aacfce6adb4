package redis

import (
	"time"

	"samaritan/api/redis"
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/filter"
	"samaritan/proc/redis/resp"
)

// worker is a service's share of one event loop. Everything in it belongs to that
// loop's goroutine.
type worker struct {
	proc *Proc
	loop *eventloop.Loop

	settings  *settings
	view      *view // nil until the first slot map has come
	nodes     map[string]*node
	sessions  []*session
	draining  bool
	ended     bool          // nothing may be dialled any more
	drained   chan struct{} // closed when draining and the last session is gone
	sweeper   *eventloop.Timer
	unhurried bool        // the next sweep is not soon
	cursor    int         // next session to be swept
	mover     *workerMove // nil while no clients are given away

	set       keySet         // scratch of the keys of a command
	wholes    [][]whole      // lists handed back
	parser    *resp.Parser   // for sessions that have no half-parsed frame
	spare     []*resp.Parser // parsers handed back
	free      *request
	splits    []*split
	hold      *eventloop.Buf    // where early replies are kept
	keys      []int             // scratch of key extraction
	partArgs  partArgs          // scratch of the parts of a split
	tmp       []byte            // scratch of local replies
	marks     slotMarks         // scratch of splitting
	turn      uint              // round robin over replicas
	imports   map[uint16]string // where SCAN found slots to be migrating to
	unsettled map[uint16]int64  // slots that have just moved, and until when that matters; nil when there are none
	tracker   *keyTracker       // what it counts for HOTKEYS; nil while no session runs
	stats     workerStats

	filters  *filter.Chain
	compress *filter.Compress
	hot      *filter.HotKeys // nil while hot keys are switched off
	request  filter.Request  // scratch of filters.Request
	sending  filter.Sending  // scratch of filters.Sent
	arrived  filter.Reply    // scratch of filters.Reply
}

// view is a slot map together with this worker's nodes.
type view struct {
	slots *cluster.Map
	nodes []*node // by index of the map
}

// node is one server of the cluster as this worker knows it.
type node struct {
	addr    string
	clients [lanes]*client // made on first use
	retired bool           // not in the slot map any more
	down    bool           // its health checks fail (healthcheck.go)
	filters filter.Node
}

func newWorker(p *Proc, l *eventloop.Loop) *worker {
	w := &worker{
		proc: p, loop: l, settings: p.settings.Load(), nodes: make(map[string]*node),
		parser: new(resp.Parser), drained: make(chan struct{}), filters: filter.NewChain(),
	}
	w.stats.init()
	return w
}

// start is the worker's first step on its loop.
func (w *worker) start() {
	w.apply(w.proc.settings.Load())
	w.setMap(w.proc.topology.Map())
	w.track(w.proc.tracking.current.Load())
	w.sweeper = w.loop.After(sweepEvery, w.sweep)
}

// apply takes up changed settings. Node connections that were prepared for another
// read strategy are made anew.
func (w *worker) apply(set *settings) {
	readOnly := set.read != redis.ReadStrategy_MASTER
	changed := readOnly != (w.settings.read != redis.ReadStrategy_MASTER)
	if w.compress == nil || w.settings.compression != set.compression {
		w.compress = filter.NewCompress(w.loop, set.compression, &w.stats.compress, w.storedBroken)
	}
	w.settings = set
	w.stats.slowMicros = uint64(set.slowThreshold / time.Microsecond)
	w.setHotKeys(set.hot.enable)
	w.chainUp()
	if !changed {
		return
	}
	for _, n := range w.nodes {
		for _, c := range n.clients {
			if c != nil {
				c.renew = true
				c.reconnect()
			}
		}
	}
}

// serve takes over an accepted socket.
func (w *worker) serve(fd int, id int64) {
	if !w.draining {
		s := newSession(w, fd, id)
		if conn, err := w.loop.Add(fd, s); err == nil {
			s.open(conn)
			return
		}
	}
	closeFD(fd)
	w.release()
}

// release counts a client out.
func (w *worker) release() {
	w.proc.listener.Release()
	if w.mover != nil && len(w.sessions) == 0 {
		w.mover.signal() // it may have been the last one
	}
}

// setMap takes up a new slot map. Nodes that are not in it end when their last
// request is answered; sessions follow one by one (session.follow).
func (w *worker) setMap(m *cluster.Map) {
	if m == nil {
		return
	}
	v := &view{slots: m, nodes: make([]*node, len(m.Nodes()))}
	for _, n := range w.nodes {
		n.retired = true
	}
	for i := range v.nodes {
		v.nodes[i] = w.nodeAt(m.Nodes()[i].Addr)
		v.nodes[i].retired = false
	}
	w.view = v
	w.heedChecks()
	for addr, n := range w.nodes {
		if n.retired && n.closeIfIdle(w.loop.Now()) {
			w.forgetNode(addr, n)
		}
	}
}

// forgetNode takes leave of a node. What was counted there is still to be read.
func (w *worker) forgetNode(addr string, n *node) {
	delete(w.nodes, addr)
	n.filters.Retire()
}

// nodeAt returns the node with that address, known before or not.
func (w *worker) nodeAt(addr string) *node {
	n := w.nodes[addr]
	if n == nil {
		n = &node{addr: addr, retired: true, filters: filter.Node{Addr: addr}}
		w.nodes[addr] = n
	}
	return n
}

// client returns the node's connection for a lane, made on first use.
func (w *worker) client(n *node, l lane) *client {
	c := n.clients[l]
	if c == nil {
		c = &client{w: w, node: n, lane: l}
		c.inherit()
		n.clients[l] = c
	}
	return c
}

// closeIfIdle closes the node's connections unless requests wait on them. That it has
// just been out of reach is kept in mind for a while.
func (n *node) closeIfIdle(now int64) bool {
	for _, c := range n.clients {
		if c != nil && (c.resting() && now < c.health.retryAt || c.inFlight() > 0 || c.dialling || c.probing) {
			return false
		}
	}
	for _, c := range n.clients {
		if c != nil {
			c.close(errRetired)
		}
	}
	return true
}

// pick chooses the client for a request, or says why there is none (as an error
// reply without the leading minus). What only the master can take goes there whatever
// its health checks say.
func (w *worker) pick(info *command.Info, slot uint16, l lane) (c *client, replica bool, problem string) {
	v := w.view
	if v == nil {
		w.stats.upstream.uncovered++
		return nil, false, w.noMap()
	}
	i := v.slots.Master(slot)
	if i < 0 {
		w.stats.upstream.uncovered++
		w.proc.warn.Warn("a slot has no owner, its requests are refused", "slot", slot)
		w.proc.topology.trigger(causeUncovered, "")
		return nil, false, "CLUSTERDOWN Hash slot not served"
	}
	if w.settings.read != redis.ReadStrategy_MASTER && info.Flags.Has(command.ReadOnly) {
		if c := w.replica(i, l); c != nil {
			return c, true, ""
		}
	}
	c = w.client(v.nodes[i], l)
	if c.resting() {
		return nil, false, c.refuse()
	}
	return c, false, ""
}

// noMap is the error while the cluster is not known at all.
func (w *worker) noMap() string {
	const text = "ERR samaritan: the slot map of the cluster is not known yet"
	if err := w.proc.topology.Err(); err != nil {
		return text + ": " + oneLine(err)
	}
	return text
}

// replica chooses among the replicas of a master (and the master, with BOTH) by
// turns, passing over those that cannot answer or are down by their health checks; nil
// means the master. When the checks leave nobody, the master included, they do not
// count.
func (w *worker) replica(master int, l lane) *client {
	c, found := w.reader(master, l, true)
	if !found && w.view.nodes[master].down {
		c, _ = w.reader(master, l, false)
	}
	return c
}

// reader is replica with the health checks heeded or not; nil with found is the master's
// turn.
func (w *worker) reader(master int, l lane, heed bool) (c *client, found bool) {
	replicas := w.view.slots.Replicas(master)
	n := len(replicas)
	if w.settings.read == redis.ReadStrategy_BOTH {
		n++
	}
	for range n {
		w.turn++
		i := int(w.turn % uint(n))
		if i == len(replicas) {
			if heed && w.view.nodes[master].down {
				continue
			}
			return nil, true
		}
		if c := w.client(w.view.nodes[replicas[i]], l); c.fit() && !(heed && c.node.down) {
			return c, true
		}
	}
	return nil, false
}

// anyClient returns a connection to some master, for commands without keys: one whose
// health checks pass, if there is one.
func (w *worker) anyClient(l lane) (*client, string) {
	if w.view == nil {
		return nil, w.noMap()
	}
	c := w.someMaster(l, true)
	if c != nil && (c.resting() || c.node.down) {
		c = w.someMaster(l, false)
	}
	switch {
	case c == nil:
		return nil, w.noMap()
	case c.resting():
		return nil, c.refuse()
	}
	return c, ""
}

// someMaster returns the first master by turns that is not away, and whose health checks
// pass if they are heeded; when there is none, the last one tried.
func (w *worker) someMaster(l lane, heed bool) (c *client) {
	v := w.view
	for range v.nodes {
		w.turn++
		i := int(w.turn % uint(len(v.nodes)))
		if v.slots.Nodes()[i].Replica {
			continue
		}
		c = w.client(v.nodes[i], l)
		if !c.resting() && !(heed && c.node.down) {
			break
		}
	}
	return c
}

// keep stores an early reply. Bytes that lie in src and are
// many are kept by reference.
func (w *worker) keep(reply []byte, src eventloop.Memory) eventloop.Ref {
	if src != nil && len(reply) >= shareMin {
		return src.Share(reply)
	}
	if len(reply) >= shareMin {
		b := w.loop.NewBuf(len(reply)) // of its own, to be given back with it
		b.B = append(b.B, reply...)
		return eventloop.Ref{Buf: b, Len: len(reply)}
	}
	if w.hold == nil || w.hold.Room() < len(reply) {
		if w.hold != nil {
			w.hold.Release()
		}
		w.hold = w.loop.NewBuf(64 << 10)
	}
	b := w.hold
	if b.Sole() {
		b.B = b.B[:0]
	}
	off := len(b.B)
	b.B = append(b.B, reply...)
	b.Retain()
	return eventloop.Ref{Buf: b, Off: off, Len: len(reply)}
}

const sweepEvery = 100 * time.Millisecond

// sweep looks for what has waited too long: requests, and a share of the sessions.
func (w *worker) sweep() {
	now := w.loop.Now()
	w.settle(now)
	if w.hot != nil {
		w.hot.Pace(now)
		w.hot.LookForLarge()
	}
	busy := false
	for addr, n := range w.nodes {
		for _, c := range n.clients {
			if c != nil {
				c.tend(now)
				busy = busy || c.inFlight() > 0 || c.resting()
			}
		}
		if n.retired && n.closeIfIdle(now) {
			w.forgetNode(addr, n)
		}
	}
	// Two sweeps a second while nothing is in flight, ten while something is; all
	// sessions are seen within a second.
	next, share := 5*sweepEvery, 2
	switch {
	case w.draining:
		next, share = sweepEvery, 1
	case busy:
		next, share = sweepEvery, 10
	}
	for range (len(w.sessions) + share - 1) / share {
		if len(w.sessions) == 0 {
			break
		}
		if w.cursor >= len(w.sessions) {
			w.cursor = 0
		}
		w.cursor++
		s := w.sessions[w.cursor-1]
		s.expire(now)
		if w.draining {
			s.finishIfIdle()
		}
	}
	w.sweeper.Reset(next)
	w.unhurried = next > sweepEvery
}

// hurry makes the next sweep come soon.
func (w *worker) hurry() {
	if w.unhurried && !w.ended {
		w.unhurried = false
		w.sweeper.Reset(sweepEvery)
	}
}

// drain ends every session once what it has in flight is answered.
func (w *worker) drain() {
	w.draining = true
	for i := len(w.sessions) - 1; i >= 0; i-- {
		w.sessions[i].finishIfIdle()
	}
	w.checkDrained()
}

// stop closes everything at once.
func (w *worker) stop() {
	w.draining, w.ended = true, true
	for len(w.sessions) > 0 {
		w.sessions[len(w.sessions)-1].conn.Close(errShutdown)
	}
	for _, n := range w.nodes {
		for _, c := range n.clients {
			if c != nil {
				c.close(errShutdown)
			}
		}
	}
	w.sweeper.Stop()
	if w.hold != nil {
		w.hold.Release()
		w.hold = nil
	}
	w.checkDrained()
}

func (w *worker) checkDrained() {
	if !w.draining || len(w.sessions) > 0 {
		return
	}
	select {
	case <-w.drained:
	default:
		close(w.drained)
	}
}
