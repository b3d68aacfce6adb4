package eventloop

import (
	"slices"
	"syscall"
	"time"
	"unsafe"
)

const (
	// keepMapped is how long a loop keeps pages of large buffers for the next one: to
	// copy into fresh pages costs several times what it costs to copy into used ones.
	keepMapped = time.Second
	// keepMappedBytes is the most that it keeps so.
	keepMappedBytes = 128 << 20
	// unmapPiece is how much one iteration gives back to the system. Giving back
	// 100 MiB at once would keep everybody waiting for ten milliseconds.
	unmapPiece = 512 << 10
)

var pageSize = syscall.Getpagesize()

// extent is pages that lie in one mapping of the kernel, which can only move such ones
// together: neighbours of different mappings are two.
type extent struct {
	mem     []byte
	mapping uint32 // its number
}

// mappings are pages outside the Go heap that no buffer uses now. The zero value is
// ready.
type mappings struct {
	idle  []extent // the oldest first
	bytes int      // in all of idle
	last  uint32

	fresh func(n int) ([]byte, error) // nil: sysMmap
}

// number makes an extent of what the kernel has just mapped.
func (m *mappings) number(mem []byte) extent {
	m.last++
	return extent{mem, m.last}
}

// take returns whole pages for n bytes: used ones, or new ones from the system.
func (m *mappings) take(n int) (extent, error) {
	n = roundToPages(n)
	if last := len(m.idle) - 1; last >= 0 && len(m.idle[last].mem) >= n {
		return m.cut(n), nil
	}
	fresh := m.fresh
	if fresh == nil {
		fresh = sysMmap
	}
	mem, err := fresh(n)
	return m.number(mem), err
}

// extend makes r, which was taken, at least n bytes long and returns what it is now,
// also when it could not be made so long. Pages move to another address at most.
func (m *mappings) extend(r extent, n int) (extent, error) {
	n = roundToPages(n)
	if n <= len(r.mem) {
		return r, nil
	}
	if last := len(m.idle) - 1; last >= 0 && r.precedes(m.idle[last]) {
		r = r.join(m.cut(min(n-len(r.mem), len(m.idle[last].mem))))
		if n == len(r.mem) {
			return r, nil
		}
	}
	longer, err := sysMremap(r.mem, n)
	if err != nil {
		return r, err
	}
	return m.number(longer), nil
}

// cut takes the first n bytes of the newest idle extent.
func (m *mappings) cut(n int) extent {
	last := len(m.idle) - 1
	r := m.idle[last]
	m.bytes -= n
	if m.idle[last].mem = r.mem[n:]; n == len(r.mem) {
		m.idle[last] = extent{}
		m.idle = m.idle[:last]
	}
	return extent{r.mem[:n:n], r.mapping}
}

// put takes back pages that nobody refers to any more.
func (m *mappings) put(r extent) {
	m.bytes += len(r.mem)
	if last := len(m.idle) - 1; last >= 0 && r.precedes(m.idle[last]) {
		m.idle[last] = r.join(m.idle[last])
		return
	}
	m.idle = append(m.idle, r)
}

// unmap gives up to n bytes back to the system, the oldest first.
func (m *mappings) unmap(n int) {
	gone := 0
	for n > 0 && gone < len(m.idle) {
		mem := m.idle[gone].mem
		keep := max(len(mem)-n, 0)
		sysMunmap(mem[keep:])
		n -= len(mem) - keep
		m.bytes -= len(mem) - keep
		if m.idle[gone].mem = mem[:keep]; keep == 0 {
			gone++
		}
	}
	m.idle = slices.Delete(m.idle, 0, gone)
}

// precedes tells whether o begins where r ends, in the same mapping.
func (r extent) precedes(o extent) bool {
	end := unsafe.Add(unsafe.Pointer(unsafe.SliceData(r.mem)), len(r.mem))
	return r.mapping == o.mapping && end == unsafe.Pointer(unsafe.SliceData(o.mem))
}

// join makes one of two of which the first precedes the second.
func (r extent) join(o extent) extent {
	r.mem = unsafe.Slice(unsafe.SliceData(r.mem), len(r.mem)+len(o.mem))
	return r
}

func roundToPages(n int) int { return (n + pageSize - 1) &^ (pageSize - 1) }

// large returns a buffer with one reference and room for n bytes, outside the Go heap:
// the garbage collector has no part in it, it grows without copying, and its memory
// goes back to the system soon. When there is no mapping to be had it is from the heap.
func (p *bufPool) large(n int) *Buf {
	b := &Buf{refs: 1, class: -1, pool: p}
	if r, err := p.pages.take(n); err == nil {
		b.pages, b.B = r, r.mem[:0:n]
	} else {
		b.B = make([]byte, 0, n)
	}
	return b
}

// enlarge gives a mapping room for n bytes in all. No byte is copied: pages move to
// another address at most, so nobody but the caller may refer to the buffer, and slices
// into it are void. False means that the buffer has not grown: it is of another kind,
// or shared, or the system has refused.
func (b *Buf) enlarge(n int) bool {
	if !b.mapped() || !b.Sole() {
		return false
	}
	r, err := b.pool.pages.extend(b.pages, n)
	b.pages = r
	if err != nil {
		return false
	}
	b.B = r.mem[:len(b.B):n]
	return true
}

// reclaim gives pages back that were not used anew, a piece in one iteration. It
// comes last in the iteration, when no handler runs.
func (l *Loop) reclaim() {
	p := &l.pool.pages
	switch {
	case len(p.idle) == 0:
		l.unmapping = false
	case l.surplus():
		p.unmap(unmapPiece)
	case l.unmapper == nil:
		l.unmapper = l.After(keepMapped, func() {
			l.unmapper, l.unmapping = nil, true
		})
	}
}

// surplus tells whether pages are to be given back now.
func (l *Loop) surplus() bool {
	p := &l.pool.pages
	return l.unmapping && len(p.idle) > 0 || p.bytes > keepMappedBytes
}
