// Package testvalues makes values as applications store them in Redis, for tests and
// benchmarks of compression.
//
// # Model
//
// Each function fills a value of exactly the wanted size, with the redundancy of its kind: a JSON entry
// repeats its names and not its ids, a text repeats its words as often as their rank says
// (Zipf's law), random bytes repeat nothing. What it makes depends on the source of
// randomness alone, so a seed stands for a value. Words that real applications would have
// are made up from syllables, the same ones in every process.
//
// How many times smaller values of 16 KiB get, with DEFLATE at its default level:
//
//	HTML 5.7  JSON 4.2  Text 2.5  Session 2.0  Protobuf 1.9  Base64 1.3  Gzip 1  Random 1
//
// # What it does not do
//
// It does not make large values fast: some tens of MB/s, so make them beforehand.
// Values do not resemble each other more than their kind does.
package testvalues
