package eventloop

import "math/bits"

const (
	minBufClass = 10 // 1 KiB: the output of one iteration for one unpipelined connection
	maxBufClass = 20 // 1 MiB: larger buffers are mappings, see bufPool.large
	bufClasses  = maxBufClass - minBufClass + 1

	// poolLimit bounds the bytes that one size class keeps for reuse.
	poolLimit = 4 << 20
)

// Buf is a byte buffer of a loop, counted by reference. Its capacity does not
// change while more than one reference is held, or while Data is called with it: so
// slices into it stay valid for whoever holds a reference, and not a moment longer,
// because a large buffer's memory goes back to the system.
type Buf struct {
	// B holds the bytes filled so far. Owners append within its capacity.
	B []byte

	refs  int32
	class int8 // index into the pool, -1 when not pooled
	next  *Buf // free list
	pool  *bufPool

	pages extent // pages outside the Go heap that B lies in; none for any other memory
}

// mapped tells whether the bytes lie outside the Go heap.
func (b *Buf) mapped() bool { return b.pages.mem != nil }

// Retain takes one more reference.
func (b *Buf) Retain() { b.refs++ }

// Release gives one reference back; the last one returns the buffer to its loop.
func (b *Buf) Release() {
	b.refs--
	if b.refs == 0 {
		b.pool.put(b)
	}
}

// Sole tells whether the caller's reference is the only one left.
func (b *Buf) Sole() bool { return b.refs == 1 }

// Room is the number of bytes that can still be appended.
func (b *Buf) Room() int { return cap(b.B) - len(b.B) }

// Ref is a range of bytes in a Buf. It does not hold a reference by itself:
// whoever keeps a Ref beyond a callback calls Retain, and Release later.
type Ref struct {
	Buf      *Buf
	Off, Len int
}

// Bytes returns the bytes referred to.
func (r Ref) Bytes() []byte { return r.Buf.B[r.Off : r.Off+r.Len] }

// bufPool keeps free buffers by size class, last in first out, so that the
// buffer handed out is the one most likely still in the cache.
type bufPool struct {
	free  [bufClasses]*Buf
	count [bufClasses]int
	pages mappings // of larger ones
}

// get returns a buffer with one reference and room for at least n bytes.
func (p *bufPool) get(n int) *Buf {
	class := max(bits.Len(uint(max(n, 1)-1)), minBufClass) - minBufClass
	if class >= bufClasses {
		return p.large(n)
	}
	if b := p.free[class]; b != nil {
		p.free[class] = b.next
		p.count[class]--
		b.next = nil
		b.refs = 1
		return b
	}
	return &Buf{B: make([]byte, 0, 1<<(class+minBufClass)), refs: 1, class: int8(class), pool: p}
}

func (p *bufPool) put(b *Buf) {
	c := b.class
	if b.mapped() {
		p.pages.put(b.pages)
		b.pages, b.B = extent{}, nil
		return
	}
	if c < 0 || p.count[c] >= poolLimit>>(int(c)+minBufClass) {
		b.B = nil
		return
	}
	b.B = b.B[:0]
	b.next = p.free[c]
	p.free[c] = b
	p.count[c]++
}

// Sub returns the reference to part, which must lie in r.Bytes() and not have had its
// capacity cut.
func (r Ref) Sub(part []byte) Ref {
	// Both slices end at the same capacity, whatever their beginnings.
	return Ref{Buf: r.Buf, Off: cap(r.Buf.B) - cap(part), Len: len(part)}
}

// Memory is what bytes may lie in that are kept by reference: the input of a connection
// while Data is called, or a Buf.
type Memory interface {
	// Share refers to part, which lies in it. The reference is taken already.
	Share(part []byte) Ref
}

// Share refers to a part of the bytes, whose capacity must not have been cut. The reference
// is taken already: Release it later.
func (b *Buf) Share(part []byte) Ref {
	b.Retain()
	return Ref{Buf: b}.Sub(part)
}
