// Package compress turns values into the form in which they are stored compressed, and back.
//
// The stored form is a header of six bytes, the bytes "(P$", one byte [Algorithm], CR and LF,
// with one compressed stream behind it, up to the end of the value:
//
//   - [Snappy]: the framed stream format of
//     https://github.com/google/snappy/blob/main/framing_format.txt. The stream identifier comes
//     first, then chunks of at most 65536 bytes, each with a checksum of what it decodes to.
//   - [Zstd]: exactly one Zstandard frame (RFC 8878). It declares its content size and needs no
//     dictionary.
//
// A value is read in two steps. [DecodedLen] tells from the headers alone what a stored value
// decodes to and refuses what is broken or too large, so the caller knows the size, and may
// refuse it too, before any memory is taken. [Codec.AppendDecoded] then decodes into the memory
// of the caller, to that many bytes and never more, whatever the stream says.
//
// The block format of Snappy and the whole of Zstandard come from github.com/klauspost/compress.
// The framing of Snappy is written here: the readers and writers of the libraries decode before
// the size is known, have buffers of their own, and one of them starts goroutines.
//
// A [Codec] belongs to one goroutine at a time; the functions may be called from everywhere.
// In steady state nothing here allocates, errors excepted. The package starts no goroutine.
// It does not know commands and does not decide what is worth storing compressed;
// [Compressible] is a guess to help with that.
package compress
