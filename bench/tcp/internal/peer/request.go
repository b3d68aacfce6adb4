package peer

import "encoding/binary"

// Size is the length of a request, and of what ends its answer.
const Size = 64

// Op is what a request asks for.
type Op byte

// All of them. Count is that of the request.
const (
	Echo     Op = 'e' // nothing more than the end of the answer
	Download Op = 'd' // Count bytes before that
	Upload   Op = 'u' // Count bytes follow the request
)

// Request is what a client sends: the op, seven bytes that are zero, the count and a number
// that the client chose, both big-endian, and zeros.
type Request [Size]byte

// Set makes it a request.
func (r *Request) Set(op Op, count, number uint64) {
	*r = Request{byte(op)}
	binary.BigEndian.PutUint64(r[8:], count)
	binary.BigEndian.PutUint64(r[16:], number)
}

// Op is what it asks for.
func (r *Request) Op() Op { return Op(r[0]) }

// Count is how many bytes go with it.
func (r *Request) Count() uint64 { return binary.BigEndian.Uint64(r[8:]) }
