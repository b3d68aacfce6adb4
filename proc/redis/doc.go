// Package redis makes a Redis Cluster look like one Redis server.
//
// # Model
//
// A [Proc] serves one service. Its listener hands accepted sockets to event loops;
// on each loop that has got one, a worker owns everything of the service there:
// the sessions (one per client connection), the clients (one pipelined connection
// per node and protocol version, shared by the sessions of the loop), the request
// records, and the counters. Nothing of a worker is touched by another goroutine.
//
// A goroutine per service, the topology, learns the slot map over connections of
// its own and posts each new, immutable map to the workers. Dialling happens in
// goroutines too; a connected socket is posted to the loop.
//
// # The way of a request
//
// A session parses a request in place and looks its command up. If a node has to
// answer, the bytes are copied once, into the send window of that node's client,
// and stay there until the reply is final: the window is what a redirection sends
// again from. Replies of a node come in the order of its requests. A reply that is
// next in its session's order is appended to the session's output at once; an
// early one waits in its request record. Commands over several slots are cut into
// one part per slot (split.go); what the proxy answers itself takes its place in
// the same order.
//
// # What holds a session back
//
// A session stops parsing, and so stops reading, while one of these is true; see
// the stop bits in session.go. It never buffers without limit, and nobody else
// waits for it.
//
//   - It has requests in flight and the slot map has changed. It takes up the new
//     map once they are answered, so that no request overtakes an earlier one on
//     its way to another node.
//   - One of its requests is being redirected or tried again.
//   - It has too many requests, or too many bytes of replies, outstanding.
//   - The node that its next request is for has too many bytes outstanding.
//   - It is about to end.
//
// # Hot keys
//
// Each worker counts the keys of the requests that it sends, by node (hotkey.go); a
// goroutine per service brings the counts together once in an interval and publishes a
// report (hotkey_merge.go), which HOTKEY and the admin server show. A HOTKEYS session
// counts apart from that, for as long as it runs (hotkeys_session.go).
//
// # Health checks
//
// A service with a health_check has its endpoints, and the nodes of its slot map, checked
// by a monitor (proc/health) over connections of its own. The verdicts are posted to the
// workers, which keep them in their nodes as a plain bool (healthcheck.go), so that they
// cost a request nothing. A node that is down by its checks
//
//   - gets no reads that somebody else can take, with the read strategies REPLICA and
//     BOTH, and no commands without keys that any master can take;
//   - is asked last for the slot map;
//   - still gets the writes, and with MASTER the reads, of the slots that it owns: nobody
//     else could take them, and a check that is wrong must not take slots out of service.
//
// Where the checks leave nobody they do not count. What the data path finds out by
// itself about a node (health.go) counts apart from them: a node gets reads when neither
// has anything against it.
//
// # Hot restart
//
// MoveClients gives sessions away at a clean boundary, a few at a time, and Adopt takes
// up those of another process (move.go, move_worker.go, adopt.go). One that is on its way
// is frozen: nobody reads or writes its socket until it is known whose it is.
//
// # What it does not do yet
//
// Transactions, blocking commands, publish/subscribe and monitoring need a node
// connection for one session alone; they are refused with an error that says so,
// and a refused MULTI refuses what follows it up to EXEC.
package redis
