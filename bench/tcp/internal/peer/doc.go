// Package peer is the server behind the proxies, and the words that it is spoken to with.
//
// # Model
//
// A client sends a [Request] of 64 bytes; the server does what it asks for, and ends its answer with the same
// 64 bytes. So one server serves round trips, downloads and uploads, and a byte that got lost or came twice on the
// way is noticed at the end of each answer.
//
// [Serve] has a goroutine for each address, and one for each connection. All have ended when it returns.
//
// # What it does not do
//
// What is downloaded is always the same, and what is uploaded is not looked at: that would cost processor time that
// the proxies should have.
package peer
