package redis

import (
	"time"

	"samaritan/internal/eventloop"
	"samaritan/internal/stats"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/filter"
)

// workerStats are the counters of one worker: plain numbers, changed by its loop
// only. A scrape gets a copy.
type workerStats struct {
	downstream struct {
		bytes                 eventloop.Bytes
		opened, closed        uint64
		movedIn, movedOut     uint64          // neither opened nor closed here
		lifetime              stats.Histogram // seconds
		protocolErrors        uint64
		overflows             uint64 // closed because far too much output waited
		stalls                uint64 // closed because no output was taken for too long
		idleTimeouts          uint64
		heldDepth, heldOutput uint64 // times that a client was not read from
	}
	upstream struct {
		bytes                                              eventloop.Bytes
		connects                                           uint64 // attempts
		opened, closed                                     uint64
		connectFail                                        uint64
		connectTimeout                                     uint64
		lifetime                                           stats.Histogram // seconds
		requests                                           uint64          // that were sent to a node, once each
		answered                                           uint64          // of those, the ones that have ended
		failed                                             uint64          // of those, the ones with an error
		moved, ask                                         uint64
		hopLimit                                           uint64
		malformedRedirects                                 uint64
		tryAgain                                           uint64
		tryAgainLimit                                      uint64
		keyByKey                                           uint64 // commands done so
		clusterDown, loading, masterDown, readOnly, noAuth uint64 // error replies
		passedOver                                         uint64 // times that a replica was, from then on
		timeouts                                           uint64 // requests
		silences                                           uint64 // connections closed as nothing came
		lost                                               uint64 // connections that broke
		lostRequests                                       uint64 // failed because of that
		retried                                            uint64 // sent again because of that
		unreachable                                        uint64 // requests refused as their node rests
		uncovered                                          uint64 // requests refused as their slot has no owner
		probes, probeFailures                              uint64
		protocolErrors                                     uint64
		windowFull                                         uint64 // times that a session was held back by a node's window
		orderHeld                                          uint64 // times that a session was held back by session.mustWait
	}
	compress   filter.CompressStats
	commands   []*commandStats // by command.Info.ID, made on first use
	unknown    uint64          // commands that do not exist
	slow       uint64
	slowMicros uint64
}

// commandStats counts one command, as clients sent it.
type commandStats struct {
	total, errors uint64
	latency       stats.Histogram // microseconds
}

func (t *workerStats) init() { t.commands = make([]*commandStats, command.Count()) }

// count returns the counters of a command.
func (t *workerStats) count(info *command.Info) *commandStats {
	c := t.commands[info.ID]
	if c == nil {
		c = new(commandStats)
		t.commands[info.ID] = c
	}
	return c
}

// countError counts a request that was refused before it was counted.
func (t *workerStats) countError(info *command.Info) {
	c := t.count(info)
	c.total++
	c.errors++
}

// countFailure counts the failure of a request that is counted already.
func (t *workerStats) countFailure(info *command.Info) { t.count(info).errors++ }

// snapshot is what a scrape sees of one worker.
type snapshot struct {
	workerStats
	sessions int
	inFlight int // of all sessions
	conns    int // to nodes
	resting  int // clients whose node is away
}

// snapshot copies the counters. The command records are copied too, as their loop
// goes on changing them.
func (w *worker) snapshot() *snapshot {
	s := &snapshot{workerStats: w.stats, sessions: len(w.sessions)}
	s.commands = make([]*commandStats, len(w.stats.commands))
	for i, c := range w.stats.commands {
		if c != nil {
			clone := *c
			s.commands[i] = &clone
		}
	}
	for _, sess := range w.sessions {
		s.inFlight += sess.inFlight
	}
	for _, n := range w.nodes {
		for _, c := range n.clients {
			if c != nil {
				s.conns += btoi(c.conn != nil)
				s.resting += btoi(c.resting())
			}
		}
	}
	return s
}

// scrapeTimeout is how long a scrape waits for a loop.
const scrapeTimeout = time.Second

// Stats implements stats.Source: it asks every worker and emits its share; what
// several workers report under one name is added up by the collector.
func (p *Proc) Stats(emit func(stats.Sample)) {
	workers := p.allWorkers()
	answers := make(chan *snapshot, len(workers))
	asked := 0
	for _, w := range workers {
		if w.loop.Post(func() { answers <- w.snapshot() }) {
			asked++
		}
	}
	e := emitter{service: p.name, emit: emit}
	p.monitor.Stats(p.name, emit)
	p.emitShared(e)
	deadline := time.NewTimer(scrapeTimeout)
	defer deadline.Stop()
	var compression filter.CompressStats
	defer func() { e.compression(&compression) }()
	for range asked {
		select {
		case s := <-answers:
			s.emitTo(e)
			compression.Add(&s.compress)
		case <-deadline.C:
			return
		}
	}
}

// emitShared reports what belongs to no worker, and zeros for what a service without
// workers has not got yet.
func (p *Proc) emitShared(e emitter) {
	t := &p.topology.counters
	e.counter("upstream.slots_refresh.total", t.total.Load())
	e.counter("upstream.slots_refresh.success_total", t.success.Load())
	e.counter("upstream.slots_refresh.failure_total", t.failure.Load())
	e.counter("upstream.slots_refresh.disagreed_total", t.disagreed.Load())
	if p.bound.Load() {
		e.counter("downstream.cx_restricted", p.listener.Restricted())
	} else {
		e.counter("downstream.cx_restricted", 0)
	}
	p.emitHotKeys(e)
	var zero snapshot
	zero.emitTo(e)
}

func (s *snapshot) emitTo(e emitter) {
	d, u := &s.downstream, &s.upstream
	e.counter("downstream.cx_total", d.opened)
	e.counter("downstream.cx_destroy_total", d.closed)
	e.counter("downstream.cx_moved_in", d.movedIn)
	e.counter("downstream.cx_moved_out", d.movedOut)
	e.gauge("downstream.cx_active", s.sessions)
	e.histogram("downstream.cx_length_sec", "", &d.lifetime, 1)
	e.counter("downstream.cx_rx_bytes_total", d.bytes.Read)
	e.counter("downstream.cx_tx_bytes_total", d.bytes.Written)
	e.counter("downstream.cx_protocol_error", d.protocolErrors)
	e.counter("downstream.cx_overflow", d.overflows)
	e.counter("downstream.cx_stalled", d.stalls)
	e.counter("downstream.cx_idle_timeout", d.idleTimeouts)

	e.counter("downstream.rq_held_depth", d.heldDepth)
	e.counter("downstream.rq_held_output", d.heldOutput)

	e.counter("upstream.cx_total", u.opened)
	e.counter("upstream.cx_destroy_total", u.closed)
	e.gauge("upstream.cx_active", s.conns)
	e.histogram("upstream.cx_length_sec", "", &u.lifetime, 1)
	e.counter("upstream.cx_rx_bytes_total", u.bytes.Read)
	e.counter("upstream.cx_tx_bytes_total", u.bytes.Written)
	e.counter("upstream.cx_connect_fail", u.connectFail)
	e.counter("upstream.cx_connect_timeout", u.connectTimeout)
	e.counter("upstream.cx_protocol_error", u.protocolErrors)
	e.counter("upstream.rq_total", u.requests)
	e.counter("upstream.rq_success_total", u.answered-u.failed)
	e.counter("upstream.rq_failure_total", u.failed)
	e.gauge("upstream.rq_active", int(u.requests-u.answered))
	e.counter("upstream.cx_timeout", u.silences)
	e.counter("upstream.cx_lost", u.lost)
	e.counter("upstream.probe_total", u.probes)
	e.counter("upstream.probe_failure", u.probeFailures)
	e.gauge("upstream.nodes_resting", s.resting)
	e.counter("upstream.rq_timeout", u.timeouts)
	e.counter("upstream.rq_lost", u.lostRequests)
	e.counter("upstream.rq_retried", u.retried)
	e.counter("upstream.rq_unreachable", u.unreachable)
	e.counter("upstream.rq_uncovered", u.uncovered)
	e.counter("upstream.order_held", u.orderHeld)
	e.counter("upstream.rq_window_full", u.windowFull)
	e.counter("upstream.moved", u.moved)
	e.counter("upstream.ask", u.ask)
	e.counter("upstream.hop_limit", u.hopLimit)
	e.counter("upstream.redirect_malformed", u.malformedRedirects)
	e.counter("upstream.tryagain", u.tryAgain)
	e.counter("upstream.tryagain_limit", u.tryAgainLimit)
	e.counter("upstream.key_by_key", u.keyByKey)
	e.counter("upstream.clusterdown", u.clusterDown)
	e.counter("upstream.loading", u.loading)
	e.counter("upstream.masterdown", u.masterDown)
	e.counter("upstream.readonly", u.readOnly)
	e.counter("upstream.noauth", u.noAuth)
	e.counter("upstream.replica_passed_over", u.passedOver)
	s.emitCommands(e)
}

// emitCommands reports each command that was used, and their sum as the requests of
// the service.
func (s *snapshot) emitCommands(e emitter) {
	total, failed := s.unknown, s.unknown
	var all stats.Histogram
	for id, c := range s.commands {
		if c == nil {
			continue
		}
		name := command.ByID(uint16(id)).Name
		total += c.total
		failed += c.errors
		all.Merge(&c.latency)
		e.command("redis.total", name, c.total)
		e.command("redis.success", name, c.total-min(c.errors, c.total))
		e.command("redis.error", name, c.errors)
		e.histogram("redis.latency_micros", name, &c.latency, 1)
	}
	// Not those in flight: some of them have their reply, are counted already, and only wait
	// for their turn, and those of a client that leaves are in flight no more.
	e.counter("downstream.rq_total", total)
	e.counter("downstream.rq_success_total", total-failed)
	e.counter("downstream.rq_failure_total", failed)
	e.counter("downstream.rq_unknown_command", s.unknown)
	e.gauge("downstream.rq_active", s.inFlight)
	e.histogram("downstream.rq_duration_ms", "", &all, 0.001)
	e.counter("rq_slow_total", s.slow)
}

// emitter shortens the reporting of one service's samples.
type emitter struct {
	service string
	emit    func(stats.Sample)
}

func (e emitter) counter(name string, v uint64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Kind: stats.Counter, Value: float64(v)})
}

func (e emitter) gauge(name string, v int) {
	e.emit(stats.Sample{Service: e.service, Name: name, Kind: stats.Gauge, Value: float64(v)})
}

func (e emitter) command(name, cmd string, v uint64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Command: cmd, Kind: stats.Counter, Value: float64(v)})
}

func (e emitter) histogram(name, cmd string, h *stats.Histogram, scale float64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Command: cmd, Kind: stats.Distribution, Hist: h, Scale: scale})
}
