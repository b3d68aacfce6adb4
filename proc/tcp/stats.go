package tcp

import (
	"samaritan/internal/stats"
)

// Stats implements stats.Source. It reads atomic counters, and copies three histograms of
// each loop: nobody who carries bytes is asked.
func (p *Proc) Stats(emit func(stats.Sample)) {
	e := emitter{service: p.name, emit: emit}
	sum := new(counters)
	for _, l := range p.loops.started() {
		sum.merge(&l.counts)
	}
	for i, name := range counterNames {
		e.counter(name, sum.n[i].Load())
	}
	e.gauge("downstream.cx_active", int64(sum.n[downOpened].Load()-sum.n[downClosed].Load()))
	e.gauge("upstream.cx_active", int64(sum.n[upOpened].Load()-sum.n[upClosed].Load()))
	e.histogram("downstream.cx_length_sec", &sum.clientTime, 1)
	e.histogram("upstream.cx_length_sec", &sum.serverTime, 1)
	e.histogram("upstream.cx_connect_ms", &sum.connectTime, 0.001)
	e.counter("downstream.cx_restricted", p.restricted())
	e.endpoints(p.set.all())
	p.monitor.Stats(p.name, emit)
}

func (p *Proc) restricted() uint64 {
	if !p.bound.Load() {
		return 0
	}
	return p.listener.Restricted()
}

// emitter shortens the reporting of one service's samples.
type emitter struct {
	service string
	emit    func(stats.Sample)
}

func (e emitter) counter(name string, v uint64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Kind: stats.Counter, Value: float64(v)})
}

func (e emitter) gauge(name string, v int64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Kind: stats.Gauge, Value: float64(v)})
}

func (e emitter) histogram(name string, h *stats.Histogram, scale float64) {
	e.emit(stats.Sample{Service: e.service, Name: name, Kind: stats.Distribution, Hist: h, Scale: scale})
}

// endpoints reports each endpoint, and how many there are of which kind. One that was
// removed is reported until its last connection has ended.
func (e emitter) endpoints(all []snapshot) {
	up, draining := int64(0), int64(0)
	for _, ep := range all {
		each := emitter{service: e.service, emit: func(s stats.Sample) {
			s.Endpoint = ep.address
			e.emit(s)
		}}
		each.counter("endpoint.cx_total", ep.opened.Load())
		each.gauge("endpoint.cx_active", ep.active.Load())
		each.counter("endpoint.cx_connect_fail", ep.failures.Load())
		each.counter("endpoint.cx_rx_bytes_total", ep.rx.Load())
		each.counter("endpoint.cx_tx_bytes_total", ep.tx.Load())
		each.gauge("endpoint.up", number(ep.isUp()))
		up += number(ep.isUp())
		draining += number(ep.isDraining())
	}
	e.gauge("upstream.endpoints_up", up)
	e.gauge("upstream.endpoints_draining", draining)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
