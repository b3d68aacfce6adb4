// Package source is a management server for one daemon: it says which services there are, all at once, and then
// changes their endpoints as fast as it is told to.
//
// # Model
//
// [Source] speaks api.DiscoveryService over plain gRPC on loopback, in the benchmark's own process, so that what it
// costs is not counted. Each stream is served by the goroutine that gRPC gives it; a second one
// receives what the daemon subscribes to.
//
// # What it does not do
//
// It knows one daemon, whatever that says of itself, never takes a service away, and queues what it was told to change
// until it is sent.
package source
