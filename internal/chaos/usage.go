package chaos

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What a daemon may have more than in the calm, and why.
const (
	// rssFactor and rssExtra: the collector lets the heap double before it runs, and gives
	// pages back late.
	rssFactor = 1.3
	rssExtra  = 24 << 20

	// fdExtra are the descriptors that are neither connections of clients nor to
	// nodes: a second event loop (3), a topology query and a probe per
	// service, our own question.
	fdExtra = 3 + 2*2 + 1

	// goroutineExtra are a second event loop, a dial and a topology query per service,
	// and the server's side of our own question.
	goroutineExtra = 1 + 2*2 + 2

	// usageLimit is how long it may take to come back.
	usageLimit = 20 * time.Second
)

// usage is what the daemon has at a moment.
type usage struct {
	rss        int64 // bytes
	fds        int   // apart from connections of clients and to nodes
	goroutines int
	clients    int // connections of clients, of both services
	nodes      int // connections to nodes
}

// usage measures the daemon, after it has collected its garbage.
func (d *Daemon) usage(ctx context.Context) (u usage, err error) {
	if _, err := d.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
		return u, err
	}
	stats, err := d.Stats(ctx)
	if err != nil {
		return u, err
	}
	for _, s := range []string{masterService, bothService} {
		u.clients += int(stats["service."+s+".downstream.cx_active"])
		u.nodes += int(stats["service."+s+".upstream.cx_active"])
	}
	u.goroutines = int(stats["runtime.goroutines"])
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.pid))
	if err != nil {
		return u, err
	}
	u.fds = len(fds) - u.clients - u.nodes
	u.rss, err = residentSet(d.pid)
	return u, err
}

// residentSet returns the resident memory of a process in bytes.
func residentSet(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0, fmt.Errorf("chaos: statm is %q", text)
	}
	pages, err := strconv.ParseInt(words[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// excess returns what of u is too much, given the calm and the number of clients
// that are connected.
func (u usage) excess(calm usage, clients int) []string {
	var bad []string
	if limit := int64(rssFactor*float64(calm.rss)) + rssExtra; u.rss > limit {
		bad = append(bad, fmt.Sprintf("memory: %d MiB resident, %d MiB in the calm", u.rss>>20, calm.rss>>20))
	}
	if u.fds > calm.fds+fdExtra {
		bad = append(bad, fmt.Sprintf("descriptors: %d besides connections, %d in the calm", u.fds, calm.fds))
	}
	if u.goroutines > calm.goroutines+goroutineExtra {
		bad = append(bad, fmt.Sprintf("goroutines: %d, %d in the calm", u.goroutines, calm.goroutines))
	}
	if u.clients != clients {
		bad = append(bad, fmt.Sprintf("the daemon has %d connections of clients, there are %d", u.clients, clients))
	}
	if limit := nodeConnections; u.nodes > limit {
		bad = append(bad, fmt.Sprintf("the daemon has %d connections to nodes, at most %d make sense", u.nodes, limit))
	}
	return bad
}

// nodeConnections is the most that the daemon should keep: two services, two event
// loops, two protocol versions, six nodes.
const nodeConnections = 2 * 2 * 2 * 2 * Shards

// settled waits until the usage is back, and returns the last one and what is still too
// much.
func (d *Daemon) settled(ctx context.Context, calm usage, clients func() int) (usage, []string) {
	var u usage
	var bad []string
	for end := time.Now().Add(usageLimit); ; {
		var err error
		if u, err = d.usage(ctx); err != nil {
			bad = []string{"the daemon cannot be measured: " + err.Error()}
		} else {
			bad = u.excess(calm, clients())
		}
		if len(bad) == 0 || time.Now().After(end) || pause(ctx, 100*time.Millisecond) != nil {
			return u, bad
		}
	}
}
