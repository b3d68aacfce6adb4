// Package load is the clients: what they do to a proxy, or to the server behind it, for some time.
//
// # Model
//
// A [Load] has workers. In Run each gets a goroutine that takes one turn after the other until the time
// is over: a request over its own long-lived connection, or a connection that is made, used once and closed. A
// turn that has begun is finished, so that all that was asked for is counted.
//
// # What it does not do
//
// It does not measure processor time: it does not know whom it talks to.
package load
