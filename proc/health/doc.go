// Package health checks endpoints actively, and says which of them are down.
//
// # Model
//
// A [Checker] tries one endpoint once. There is one for each kind of check that can
// be configured: a TCP connection; an exchange of bytes; the greeting of, and login
// to, a MySQL server; a PING of a Redis server.
//
// A [Monitor] checks a set of addresses again and again and keeps a verdict for each.
// An address that was not checked yet counts as healthy. Its first check decides at
// once, whatever the thresholds. After that fall_threshold failures in a row make it
// down, and rise_threshold passes in a row make it healthy again. When another kind of
// check is configured the verdict holds until the first check of that kind, which
// decides at once.
//
// The verdicts are read where connections are made, so they are a snapshot behind an
// atomic pointer: [Monitor.Healthy] costs a map lookup and takes no lock.
//
// # When an address is checked
//
// An address is checked every interval, from start to start, with a jitter of 10 %
// either way, so that checks spread by themselves and stay spread. First checks are
// spread over a second, or over the interval when that is shorter. A check that takes
// longer than the interval is followed by the next one at once.
//
// 64 checks run at a time. A check that has no result after 50 ms gives its place
// away and goes on without one, and an address whose last check took that long does
// not take a place at all. So hung endpoints, which take their whole timeout, do not
// hold up the others. Of those slow ones 1024 are checked at a time; more of them are
// checked less often than the interval says (see schedule.go).
//
// # Who owns what
//
// [Monitor.Run] is the scheduler: it starts a goroutine for each check, which notes
// the result and ends. Another goroutine publishes the snapshot and calls
// Options.Changed, at most every 10 ms. All state is guarded by one mutex, which is
// never held during a check, a call of Changed or a write to the log. A check under
// way for an address that is removed is canceled, and its result is dropped.
//
// # What it does not do
//
// It does not choose endpoints, does not close connections to those that are down,
// and does not follow host names: addresses are "ip:port".
package health
