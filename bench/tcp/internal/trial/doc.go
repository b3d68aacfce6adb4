// Package trial measures TCP proxies: what they take of the processor, what their clients wait, their memory, and how
// fast Samaritan takes up services that change.
//
// # Model
//
// Samaritan and two HAProxies, one of which may splice, stand in front of the same server; see
// bench/tcp/internal/stand. In each round all are started anew. For each [Load] they run in turns of a fraction of a
// second, so that what else happens on the machine happens to all of them, and each slice is compared with its
// neighbour. Of the two HAProxies it is the one that takes less that counts, for each load.
//
// The control plane is measured on a daemon of its own, which has its services from
// bench/tcp/internal/source.
//
// # What it does not do
//
// It does not measure over a network, and not what TLS, logging or health checks cost: all are off.
package trial
