package resp

import "math"

// Limits. Where Redis has one of that kind, it is Redis' default.
const (
	// MaxFrame is the most bytes of one request or one reply, 1 GiB (client-query-buffer-limit).
	// Redis closes the connection without a word above it; here it is an error.
	MaxFrame = 1 << 30
	// MaxBulk is the most bytes of one argument of a request, 512 MiB (proto-max-bulk-len).
	MaxBulk = 512 << 20
	// MaxLine is the most bytes of a line in front of its line end, 64 KiB: an inline command, the
	// line of a count or a length, a simple string or error. Redis may take an inline command that
	// is somewhat longer when its end is in the same read; here that does not depend on reads.
	MaxLine = 64 << 10
	// MaxArgs is the most arguments a request may announce. It is Redis 7's limit; MaxFrame,
	// which holds less than 180 million arguments, always ends such a request first.
	MaxArgs = math.MaxInt32
	// MaxDepth is the most levels of aggregates within each other in a reply, attributes counted.
	MaxDepth = 128

	// maxElems bounds the count of an aggregate: the shortest element takes three bytes.
	maxElems = MaxFrame / 3
	// keepArgs and keepLine are how much memory Parser.Reset keeps, in arguments and bytes.
	keepArgs = 4096
	keepLine = 4096
)

// ProtocolError says that bytes are not RESP. The stream they came from is out of step for good
// and must be closed.
type ProtocolError struct{ text string }

// Error returns the text as Redis sends it behind "-ERR ": "Protocol error: ...".
func (e *ProtocolError) Error() string { return e.text }

func protocolError(text string) *ProtocolError {
	return &ProtocolError{text: "Protocol error: " + text}
}

// What Redis says to a client.
var (
	errCount       = protocolError("invalid multibulk length")
	errBulk        = protocolError("invalid bulk length")
	errInlineSize  = protocolError("too big inline request")
	errCountSize   = protocolError("too big mbulk count string")
	errBulkSize    = protocolError("too big bulk count string")
	errQuotes      = protocolError("unbalanced quotes in request")
	errRequestSize = protocolError("too big request")
)

// What is wrong with the reply of a server.
var (
	errReplySize   = protocolError("too big reply")
	errReplyLine   = protocolError("too long line in reply")
	errReplyDepth  = protocolError("too deep nesting in reply")
	errReplyType   = protocolError("unknown type in reply")
	errReplyEnd    = protocolError("missing CRLF in reply")
	errReplyInt    = protocolError("invalid integer in reply")
	errReplyLength = protocolError("invalid length in reply")
	errReplyText   = protocolError("invalid value in reply")
	errStreamed    = protocolError("streamed type in reply")
	errTruncated   = protocolError("truncated reply")
)

// errDollar is Redis' error for an argument that begins with c. Redis turns line ends within
// an error into blanks.
func errDollar(c byte) *ProtocolError {
	if c == '\r' || c == '\n' {
		c = ' '
	}
	return protocolError("expected '$', got '" + string([]byte{c}) + "'")
}
