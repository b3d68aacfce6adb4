// Package testredis runs real redis-server processes for tests, examples and
// benchmarks: single servers and whole clusters, which it can then hurt.
//
// # Model
//
// A [Cluster] is a set of [Node]s; a node is one redis-server process (which may
// be dead at the moment), its two ports, its directory and one small client
// connection for [Node.Do]. Roles and slots are never remembered here: Masters,
// Replicas and Master ask the running nodes each time, because failovers and
// migrations change them behind our back.
//
//	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
//	owner := c.Master(testredis.Slot("user:1"))
//	owner.Kill()
//	err := c.WaitStable(10 * time.Second) // a replica has taken over
//
// [StartCluster], [StartServer] and [Shared] are for tests: they call t.Fatal,
// never t.Skip, when there is no redis-server. [Start] and [StartNode] are the
// same without a testing.TB; who calls them has to call Close.
//
// # Who owns what
//
// Each cluster has a host: one goroutine locked to its thread that forks the
// servers, a directory, and the reserved ports. The kernel kills the servers
// when that thread ends, so also when the test process is killed with -9. One
// more goroutine per server reaps it. Close ends them all and returns after
// they have ended, so goleak finds nothing.
//
// Ports lie below the range that Linux gives to outgoing connections and stay
// reserved, across processes, while their node exists, dead or alive. So nobody
// takes the port of a node that is down, and a restart works.
//
// All methods are safe for concurrent use, except that topology changes
// (AddNode, AddReplica, RemoveNode and migrations of one slot) must not overlap.
//
// # How a cluster starts in half a second
//
// A master of a new cluster reports cluster_state:fail for its first two
// seconds (CLUSTER_WRITABLE_DELAY in cluster.c), a replica does not. So each
// node that shall be a master finds a nodes.conf that makes it the replica of a
// master without an address, which owns the slots. It is ok at once, takes the
// slots over with CLUSTER FAILOVER TAKEOVER, and then the nodes meet as usual.
//
// # Nodes behind relays
//
// With [Options.Announce] each node tells the world another port than its own,
// so that all traffic that follows the slot map, and that of replicas to their
// masters, goes through whatever listens there.
//
// # What it does not do
//
// No TLS, no persistence (a master that is killed and restarted comes back
// empty, as Redis without persistence does), Linux only, Redis 7.0 or newer
// (the bus port is set with --cluster-port).
package testredis
