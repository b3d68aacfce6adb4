// Package trial measures what compression gains and what it costs.
//
// # Model
//
// Proxies that differ in their compression stand in front of one cluster, each with keys of its own
// that have the same hash tags, so the same slots. All values come from internal/testvalues.
//
//   - Ratios asks Redis itself how many bytes it keeps of each kind of value.
//   - Stores fills the cluster through each proxy, and reads all values back.
//   - Costs takes the CPU time of the proxy's process. In a round all proxies are started anew, and
//     each load runs on all of them in turns, some short slices each. So what a slice is compared
//     with happened at about the same time, and nothing depends on how one process happened to lie in memory.
//   - Latencies does the same for the time that a client waits.
//
// Each figure is the median of its slices or rounds, each comparison the median of comparisons.
package trial
