// Package stand is what stands on the machine while TCP proxies are measured: a server, and the proxies in front of
// it.
//
// # Model
//
// Each proxy is a process of its own, with as many threads as the others and the same time limits, and the server is
// another. All of them end with this one; see bench/internal/child. The server has some addresses of its loopback
// network, so that each proxy may have one that no other uses: else they would share the ports that
// the kernel finds for connections to it.
//
// The server is this very program, which has to run [samaritan/bench/tcp/internal/peer.Serve] for the command that
// Options name.
package stand
