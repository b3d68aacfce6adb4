// Package stand is what stands on the machine while compression is measured: a Redis Cluster of three
// masters, and proxies in front of it that differ in their settings of compression.
//
// All of them are processes of their own that end with this one; see bench/internal/child and
// internal/testredis.
package stand
