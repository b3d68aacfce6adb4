// Package resp frames the Redis protocol, RESP2 and RESP3, in both directions, in place.
//
// A [Parser] cuts requests out of the bytes of a client, a [Scanner] cuts replies out of the
// bytes of a server. Both look at a buffer that belongs to the caller, copy nothing (inline
// commands excepted) and remember where they stopped: when they need more, the caller adds bytes
// behind those it has, wherever the buffer lives by then, and calls again. Nothing is scanned
// twice, but for the few digits of a header that was cut off.
// The Append functions encode into the caller's buffer. [Header] and [Next] read a whole reply
// without allocating; [ParseValue] builds a tree of it, for cold paths.
//
// Parser and Scanner belong to one goroutine at a time. In steady state nothing here allocates.
// Memory never runs ahead of the bytes: a count or a length that was announced reserves nothing.
//
// What a request may look like, its limits and the texts of the errors are those of Redis 7.0
// (networking.c, sds.c, util.c), oddities included: the byte behind a CR and the two bytes
// behind a bulk string are not checked, and a NUL hides the rest of a line. Replies come from
// servers and are held to the specification: https://redis.io/docs/latest/develop/reference/protocol-spec/
//
// The package does not know commands, and it does not read from or write to connections.
package resp
