// Package samaritan runs the daemon for a benchmark: with the smallest config there is, in front of
// a cluster, as a process that ends with this one (see bench/internal/child).
package samaritan
