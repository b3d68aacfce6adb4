package testvalues

import "math/rand/v2"

// Kind is one kind of values.
type Kind struct {
	Name string // lower case, one word

	// Make returns a value of exactly size bytes, which must not be negative. The same
	// source in the same state makes the same value.
	Make func(r *rand.Rand, size int) []byte
}

// Kinds are all there are, those that compress best first. It must not be changed.
var Kinds = []Kind{
	{"html", HTML},
	{"json", JSON},
	{"text", Text},
	{"session", Session},
	{"protobuf", Protobuf},
	{"base64", Base64},
	{"gzip", Gzip},
	{"random", Random},
}
