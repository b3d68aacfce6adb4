// Package proc defines what it takes to serve one service: the contract between
// the controller and a protocol's implementation, and the listener that all
// implementations share.
//
// A [Proc] is built from a service's configuration by a [Builder], runs until its
// context ends, takes changed configuration while it runs, and reports its state.
// Implementations live in sub-packages (proc/redis); which protocol is served by
// which builder is decided by the command that wires the daemon together.
package proc
