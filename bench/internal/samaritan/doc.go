// Package samaritan runs the daemon for a benchmark: with the smallest config there is for one service, as a process
// that ends with this one (see bench/internal/child), and asks its admin server.
package samaritan
