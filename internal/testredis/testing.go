package testredis

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// StartCluster is [Start] for a test, which closes the cluster at its end.
func StartCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

// StartServer is [StartNode] for a test, which closes the server at its end.
func StartServer(t testing.TB, args ...string) *Node {
	t.Helper()
	n, err := StartNode(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, n.Close()) })
	return n
}

// FreeAddress returns an address "127.0.0.1:port" for a server of a test. Until the end of the test no
// other user of this package gets it.
func FreeAddress(t testing.TB) string {
	t.Helper()
	p, err := reservePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	return p.addr()
}

// check marks the test as failed when err is not nil.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// shared holds the clusters that Shared has started, by their options. It is
// process-wide because a TestMain and its tests have nothing else in common.
var shared struct {
	sync.Mutex
	main     bool // within the Run of Main
	clusters map[string]*Cluster
}

// Main wraps the M of a TestMain for packages that use [Shared]: it closes the
// shared clusters after the tests and before a leak check.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(testredis.Main(m)) }
func Main(m interface{ Run() int }) interface{ Run() int } {
	return mainFunc(func() int {
		shared.Lock()
		shared.main, shared.clusters = true, map[string]*Cluster{}
		shared.Unlock()
		code := m.Run()
		if err := closeShared(); err != nil {
			fmt.Println(err)
			return max(code, 1)
		}
		return code
	})
}

// mainFunc makes a function a Run method.
type mainFunc func() int

// Run calls f.
func (f mainFunc) Run() int { return f() }

// closeShared closes all shared clusters.
func closeShared() error {
	shared.Lock()
	defer shared.Unlock()
	shared.main = false
	var errs []error
	for _, c := range shared.clusters {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Shared returns a cluster that all tests of the package with the same options
// use one after the other; not in parallel. It comes empty, with the shape it
// had at first: one that a test before has damaged is replaced. The package
// needs a TestMain with [Main].
func Shared(t testing.TB, o Options) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("testredis: Shared needs a TestMain that calls testredis.Main")
	}
	key := fmt.Sprintf("%#v", o.withDefaults())
	c := shared.clusters[key]
	if c != nil && c.asNew() == nil {
		return c
	}
	if c != nil {
		delete(shared.clusters, key)
		check(t, c.Close())
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	shared.clusters[key] = c
	return c
}

// asNew empties the cluster, and returns an error when it is no longer what
// its options say.
func (c *Cluster) asNew() error {
	o := c.options
	nodes := c.Nodes()
	if len(nodes) != o.Masters*(1+o.Replicas) || slices.ContainsFunc(nodes, down) {
		return errors.New("testredis: nodes were added, removed or killed")
	}
	if err := c.WaitStable(time.Second); err != nil {
		return err
	}
	members := c.members()
	for i, n := range nodes {
		role, slots := "slave", "[]"
		if i < o.Masters {
			role, slots = "master", fmt.Sprint([]span{spanOf(i, o.Masters)})
		}
		if m := members[n]; m == nil || !m.is(role) || fmt.Sprint(m.slots) != slots {
			return errors.New("testredis: roles or slots have changed")
		}
	}
	return c.FlushAll()
}

// down reports whether the node is dead or stopped.
func down(n *Node) bool { return !n.Running() }
