package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// CrowdOptions say who a crowd is.
type CrowdOptions struct {
	// Addr is the service that the ledger is opened and read at.
	Addr string

	// Dial has one function for each client, which makes its link. It is called again when
	// the link before has failed.
	Dial []func() (Link, error)

	// Name keeps the keys of the crowd apart from those of others in the same cluster.
	Name int

	// Seed is that of all random choices.
	Seed uint64

	// Pauses of a client between its batches: the least and the most.
	Pauses [2]time.Duration

	// MayClose says that connections may end. Without it each end is a violation.
	MayClose bool
}

// Crowd is the load of a [Suite] for whoever does other things to the daemon than hurt its
// cluster: clients with one ledger between them. An error reply is a violation, and so is
// the end of a connection unless it may be. Its methods must not be called at the same
// time, apart from Count, which may be called at any.
type Crowd struct {
	// Immutable.
	options CrowdOptions
	tally   *tally
	keys    keyspace
	gate    *sync.RWMutex // shut (locked) while the crowd rests

	// Owned by the caller of the methods; by the clients while the gate is open.
	workers []*worker

	open    atomic.Int64 // connections of our own
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewCrowd starts nothing.
func NewCrowd(o CrowdOptions) *Crowd {
	c := &Crowd{options: o, tally: &tally{}, keys: keyspace{tags: slotTags(), round: o.Name}, gate: &sync.RWMutex{}}
	c.tally.reset()
	for id, dial := range o.Dial {
		w := &worker{
			id: id, dial: dial, next: write, pauses: o.Pauses, gate: c.gate, tally: c.tally,
			rand: rand.New(rand.NewPCG(o.Seed, uint64(id+1))),
		}
		w.begin(c.keys, Fault{MayClose: o.MayClose}, true)
		c.workers = append(c.workers, w)
	}
	return c
}

// Start opens the ledger, connects all clients one after the other, and lets them begin.
// The caller has to call Stop.
func (c *Crowd) Start() error {
	err := ask(c.options.Addr, &c.open, foundation(c.keys, c.workers), func(_ int, v any) error {
		if err, failed := v.(error); failed {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range c.workers {
		if w.link, err = w.dial(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background()) // until Stop
	c.cancel = cancel
	for _, w := range c.workers {
		c.running.Go(func() { w.run(ctx) })
	}
	return nil
}

// Count returns how many replies there were so far.
func (c *Crowd) Count() int {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	return c.tally.requests
}

// Rest lets the clients finish what they have sent, and calls do while none of them sends
// anything. Their connections stay open.
func (c *Crowd) Rest(do func()) {
	c.gate.Lock()
	defer c.gate.Unlock()
	do()
}

// Stop lets the clients finish what they have sent, and closes their links. It is
// idempotent.
func (c *Crowd) Stop() {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.running.Wait()
	for _, w := range c.workers {
		w.hangUp() // of one that never ran
	}
}

// Settle compares the ledger with what the cluster holds, after Stop, and returns all that
// was wrong since Start.
func (c *Crowd) Settle() Result {
	settle(c.tally, finals(c.keys, c.workers, false), func(cmds [][]any, each func(int, any) error) error {
		return ask(c.options.Addr, &c.open, cmds, each)
	})
	var r Result
	affected := uint8(0)
	if c.options.MayClose {
		affected = allShards
	}
	c.tally.fill(&r, affected)
	return r
}
