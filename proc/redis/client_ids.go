package redis

import "sync/atomic"

// clientIDs numbers the client connections of the process: it is the last number given.
var clientIDs atomic.Int64

// maxClientID bounds the numbers that are taken over from another process, so that the
// counter cannot overflow.
const maxClientID = 1 << 62

// NextClientID is the number that the next client connection of the process gets.
func NextClientID() int64 { return clientIDs.Load() + 1 }

// SetNextClientID makes sure that the next client connection of the process gets id or
// more: numbers that have been given, by this process or the one before it, are not given
// again. Numbers above 2^62 are not heeded.
func SetNextClientID(id int64) {
	for id <= maxClientID {
		last := clientIDs.Load()
		if last >= id-1 || clientIDs.CompareAndSwap(last, id-1) {
			return
		}
	}
}
