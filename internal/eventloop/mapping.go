package eventloop

import (
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

// mappings are pages outside the Go heap that no buffer uses now. The zero value is
// ready.
type mappings struct {
	idle  [][]byte // the oldest first
	bytes int      // in all of idle

	fresh func(n int) ([]byte, error) // nil: sysMmap
}

// take returns whole pages for n bytes: used ones, or new ones from the system.
func (m *mappings) take(n int) ([]byte, error) {
	n = roundToPages(n)
	if last := len(m.idle) - 1; last >= 0 && len(m.idle[last]) >= n {
		return m.cut(last, n), nil
	}
	if m.fresh != nil {
		return m.fresh(n)
	}
	return sysMmap(n)
}

// extend makes mem, which was taken, at least n bytes long and returns what it is now,
// also when it could not be made so long. Pages move to another address at most.
func (m *mappings) extend(mem []byte, n int) ([]byte, error) {
	n = roundToPages(n)
	if n <= len(mem) {
		return mem, nil
	}
	if last := len(m.idle) - 1; last >= 0 && adjacent(mem, m.idle[last]) {
		more := m.cut(last, min(n-len(mem), len(m.idle[last])))
		mem = unsafe.Slice(unsafe.SliceData(mem), len(mem)+len(more))
		if n == len(mem) {
			return mem, nil
		}
	}
	longer, err := sysMremap(mem, n)
	if err != nil {
		return mem, err
	}
	return longer, nil
}

// cut takes the first n bytes of an idle mapping.
func (m *mappings) cut(i, n int) []byte {
	mem := m.idle[i]
	m.bytes -= n
	if n == len(mem) {
		m.remove(i)
	} else {
		m.idle[i] = mem[n:]
	}
	return mem[:n:n]
}

func (m *mappings) remove(i int) {
	last := len(m.idle) - 1
	copy(m.idle[i:], m.idle[i+1:])
	m.idle[last] = nil
	m.idle = m.idle[:last]
}

// put takes back pages that nobody refers to any more.
func (m *mappings) put(mem []byte) {
	m.bytes += len(mem)
	if last := len(m.idle) - 1; last >= 0 && adjacent(mem, m.idle[last]) {
		m.idle[last] = unsafe.Slice(unsafe.SliceData(mem), len(mem)+len(m.idle[last]))
		return
	}
	m.idle = append(m.idle, mem)
}

// unmap gives up to n bytes back to the system, the oldest first.
func (m *mappings) unmap(n int) {
	mem := m.idle[0]
	keep := max(len(mem)-n, 0)
	m.bytes -= len(mem) - keep
	sysMunmap(mem[keep:])
	if keep > 0 {
		m.idle[0] = mem[:keep]
	} else {
		m.remove(0)
	}
}

func adjacent(a, b []byte) bool {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(a)), len(a)) == unsafe.Pointer(unsafe.SliceData(b))
}

func roundToPages(n int) int { return (n + pageSize - 1) &^ (pageSize - 1) }

// large returns a buffer with one reference and room for n bytes, outside the Go heap:
// the garbage collector has no part in it, it grows without copying, and its memory
// goes back to the system soon. When there is no mapping to be had it is from the heap.
func (p *bufPool) large(n int) *Buf {
	b := &Buf{refs: 1, class: -1, pool: p}
	if mem, err := p.pages.take(n); err == nil {
		b.mapping, b.B = mem, mem[:0:n]
	} else {
		b.B = make([]byte, 0, n)
	}
	return b
}

// enlarge gives a mapping room for skip and n bytes, after it has left out of the
// first skip bytes as many as fill pages. It returns how many of them are still there.
// No byte is copied: pages move to another address at most, so nobody but the caller
// may refer to the buffer, and slices into it are void. False means that the buffer
// has not grown: it is of another kind, or shared, or the system has refused.
func (b *Buf) enlarge(skip, n int) (left int, ok bool) {
	if b.mapping == nil || !b.Sole() {
		return skip, false
	}
	if gone := skip &^ (pageSize - 1); gone > 0 {
		b.pool.pages.put(b.mapping[:gone:gone])
		b.mapping, b.B = b.mapping[gone:], b.B[gone:]
		skip -= gone
	}
	n = max(skip+n, len(b.B))
	mem, err := b.pool.pages.extend(b.mapping, n)
	b.mapping = mem
	if err != nil {
		return skip, false
	}
	b.B = mem[:len(b.B):n]
	return skip, true
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
