package minicluster

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"samaritan/proc/redis/cluster"
)

// Cluster is a running cluster. All methods may be called by any goroutine.
type Cluster struct {
	nodes     []*node       // immutable after Start, by first slot
	redirects atomic.Uint64 // MOVED answered
}

// node is one master: a contiguous range of slots.
type node struct {
	redis       *miniredis.Miniredis
	server      *server.Server // its own, which redis forgets when it is closed
	id          string         // 40 hex digits
	addr        string         // host:port
	host        string
	port        int
	first, last uint16 // slots, inclusive
}

// Start starts masters nodes, from 1 to 1000, on free ports of 127.0.0.1, with
// the slots shared out evenly. It returns once all of them answer.
func Start(masters int) (*Cluster, error) {
	if masters < 1 || masters > 1000 {
		return nil, fmt.Errorf("start %d masters: want 1 to 1000", masters)
	}
	c := &Cluster{}
	for i := range masters {
		n, err := startNode(i, masters)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("start node %d: %w", i, err)
		}
		c.nodes = append(c.nodes, n)
	}
	// Only now is the layout complete that the hooks work with.
	for _, n := range c.nodes {
		n.server.SetPreHook((&hook{cluster: c, node: n}).handle)
	}
	return c, nil
}

func startNode(i, masters int) (*node, error) {
	redis, err := miniredis.Run()
	if err != nil {
		return nil, err
	}
	redis.ClockTTL(true) // keys expire by the clock, as a user expects
	addr := redis.Server().Addr()
	n := &node{redis: redis, server: redis.Server(), id: newID(), addr: addr.String(), host: addr.IP.String(), port: addr.Port}
	n.first, n.last = share(i, masters)
	return n, nil
}

// share is the range of slots of the i-th of so many masters, as
// `redis-cli --cluster create` deals them.
func share(i, masters int) (first, last uint16) {
	each := float64(cluster.Slots) / float64(masters)
	from := math.Round(float64(i) * each)
	to := math.Round(float64(i+1)*each) - 1
	return uint16(from), uint16(to)
}

func newID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Addrs returns the host:port of every node, in the order of their slots, also
// after Close.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.addr
	}
	return addrs
}

// Redirects returns how many MOVED all nodes have answered since the start.
func (c *Cluster) Redirects() uint64 { return c.redirects.Load() }

// Keys returns how many keys the nodes hold, in the order of Addrs.
func (c *Cluster) Keys() []int {
	counts := make([]int, len(c.nodes))
	for i, n := range c.nodes {
		counts[i] = len(n.redis.Keys())
	}
	return counts
}

// Close ends all connections and all nodes. It is idempotent.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.redis.Close()
	}
}

// owner returns the node that a slot belongs to.
func (c *Cluster) owner(slot uint16) *node {
	for _, n := range c.nodes {
		if slot >= n.first && slot <= n.last {
			return n
		}
	}
	panic("minicluster: the nodes do not cover all slots")
}
