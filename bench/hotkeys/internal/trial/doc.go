// Package trial puts package hotkey to the test: how right it is, how fast it sees a change, how
// it forgets, what it costs, and how it compares with other algorithms.
//
// Everything but the timing runs in virtual time: a [Rig] moves the clock that sampler,
// counters and collector are given, so that half a minute of traffic takes as long as counting it
// does. The rig counts every hit exactly as well, and that is the truth that reports are
// scored against. Streams repeat with their seed. The hashes of package hotkey do not:
// they are keyed by chance in each process.
//
// Each trial returns its figures and, by Checks, whether they keep their bounds.
package trial
