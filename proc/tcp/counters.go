package tcp

import (
	"sync"
	"sync/atomic"

	"samaritan/internal/stats"
)

// counter is one of the numbers that a loop counts. Ends stand before beginnings, so that
// who reads them in this order never sees more of those.
type counter uint8

const (
	downClosed       counter = iota
	downOpened               // client connections
	downRx                   // bytes
	downTx                   // bytes
	downReset                // ended by a reset of the client, or because it is gone
	downIdle                 // ended by the idle timeout
	upClosed                 // connections to endpoints
	upOpened                 //
	upRx                     // bytes
	upTx                     // bytes
	upReset                  // ended by a reset of the server, or because it is gone
	upConnectFail            // attempts that failed
	upConnectTimeout         // of those, because of the timeout
	upRetry                  // attempts behind one that failed
	upUnreachable            // clients given up, as no attempt succeeded
	upNoEndpoint             // clients given up, as there was nothing to try
	upFallback               // attempts with an endpoint that fails its checks
	upDrainTimeout           // ended as their endpoint has left
	counterCount
)

// counterNames are the names in the stats.
var counterNames = [counterCount]string{
	downClosed:       "downstream.cx_destroy_total",
	downOpened:       "downstream.cx_total",
	downRx:           "downstream.cx_rx_bytes_total",
	downTx:           "downstream.cx_tx_bytes_total",
	downReset:        "downstream.cx_reset",
	downIdle:         "downstream.cx_idle_timeout",
	upClosed:         "upstream.cx_destroy_total",
	upOpened:         "upstream.cx_total",
	upRx:             "upstream.cx_rx_bytes_total",
	upTx:             "upstream.cx_tx_bytes_total",
	upReset:          "upstream.cx_reset",
	upConnectFail:    "upstream.cx_connect_fail",
	upConnectTimeout: "upstream.cx_connect_timeout",
	upRetry:          "upstream.cx_connect_retry",
	upUnreachable:    "upstream.unreachable",
	upNoEndpoint:     "upstream.no_endpoint",
	upFallback:       "upstream.lb_fallback_total",
	upDrainTimeout:   "upstream.cx_drain_timeout",
}

// counters are what one loop counts. Its goroutine writes them, anybody may read.
type counters struct {
	n [counterCount]atomic.Uint64

	mu          sync.Mutex      // guards the following
	clientTime  stats.Histogram // seconds
	serverTime  stats.Histogram // seconds
	connectTime stats.Histogram // microseconds
}

func (c *counters) add(what counter, n int) { c.n[what].Add(uint64(n)) }

func (c *counters) observe(h *stats.Histogram, v int64) {
	c.mu.Lock()
	h.Observe(uint64(max(0, v)))
	c.mu.Unlock()
}

// merge adds what another loop has counted.
func (c *counters) merge(o *counters) {
	for i := range o.n {
		c.n[i].Add(o.n[i].Load())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.clientTime.Merge(&o.clientTime)
	c.serverTime.Merge(&o.serverTime)
	c.connectTime.Merge(&o.connectTime)
}
