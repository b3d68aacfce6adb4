package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Shards is the number of masters, and so of thirds of the slots.
const Shards = 3

// Limits of the daemon under test. Faults choose their durations by them.
const (
	RequestTimeout = time.Second
	ConnectTimeout = 500 * time.Millisecond
)

// Fault is one thing that goes wrong, and how it is put right again.
type Fault struct {
	// Name is short, lower case, with dashes.
	Name string

	// Help is one sentence for the table in docs/reliability.md.
	Help string

	// Inflict does it, and returns when the cluster is whole again. An error
	// means that the fault itself did not work, and fails the run.
	Inflict func(ctx context.Context, e *Env) error

	// MayLose says that the cluster itself may lose acknowledged writes,
	// because its replication is asynchronous. They are reported, and are no
	// violation. Doubled ones always are. What Redis loses without a failover is
	// another matter; see [OwnLoss].
	MayLose bool

	// MayClose says that the daemon may close connections of clients.
	MayClose bool

	// Long keeps the fault out of the short form.
	Long bool
}

// Env is what a fault acts on.
type Env struct {
	// Immutable.
	Cluster *Cluster                         // real nodes, each behind a Relay
	Daemon  *Daemon                          // the samaritan process
	Logf    func(format string, args ...any) // progress, for people
	Scale   float64                          // 1 in the short form; all durations are multiplied by it

	// Rand is new for each fault, seeded by the suite's seed, the fault's name and how often
	// it was done before. It is for the fault's goroutine alone.
	Rand *rand.Rand

	mu sync.Mutex
	// Guarded by mu.
	hit []int // shards, sorted
}

// Affect tells which shards the fault touches directly: 0, 1 or 2, by the
// ranges of slots at the start. Gaps and latencies of these are reported apart
// from those of the others. It may be called at any time before Inflict returns.
func (e *Env) Affect(shards ...int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hit = append(e.hit, shards...)
	slices.Sort(e.hit)
	e.hit = slices.Compact(e.hit)
}

// Affected returns the shards that were given to Affect since the last forget.
func (e *Env) Affected() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.hit)
}

// forget empties the list of affected shards, before the next fault.
func (e *Env) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hit = nil
}

// Scaled returns d multiplied by the scale.
func (e *Env) Scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * e.Scale)
}

// Wait lets d, multiplied by the scale, go by. It returns early, with the
// context's error, when that ends.
func (e *Env) Wait(ctx context.Context, d time.Duration) error {
	return pause(ctx, e.Scaled(d))
}

// pause lets d go by, or returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
