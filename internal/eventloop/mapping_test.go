package eventloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func (m *mappings) close() {
	for len(m.idle) > 0 {
		m.unmap(m.bytes)
	}
}

func TestPagesAreUsedAgain(t *testing.T) {
	var m mappings
	t.Cleanup(m.close)
	const page = 4096
	whole, err := m.take(64*page - 1)
	require.NoError(t, err)
	require.Len(t, whole, roundToPages(64*page-1))
	m.put(whole)
	require.Equal(t, len(whole), m.bytes)

	a, err := m.take(1)
	require.NoError(t, err)
	require.Equal(t, address(whole), address(a))
	require.Len(t, a, pageSize)
	require.Equal(t, len(whole)-pageSize, m.bytes)

	same, err := m.extend(a, pageSize)
	require.NoError(t, err)
	require.Equal(t, address(a), address(same))
	require.Len(t, same, pageSize, "it is as long as that")

	a, err = m.extend(a, len(whole)/2)
	require.NoError(t, err)
	require.Equal(t, address(whole), address(a), "the pages behind it are idle")
	require.Equal(t, len(whole)/2, m.bytes)

	b, err := m.take(pageSize)
	require.NoError(t, err)
	require.Equal(t, address(a)+uintptr(len(a)), address(b))
	copy(a, "kept")
	a, err = m.extend(a, len(whole)) // b is in the way
	require.NoError(t, err)
	require.Equal(t, "kept", string(a[:4]))
	require.False(t, address(a) < address(b)+uintptr(pageSize) && address(b) < address(a)+uintptr(len(a)), "they overlap")

	idle := len(m.idle)
	m.put(b)
	require.Len(t, m.idle, idle, "neighbours become one")
	m.put(a)
	require.Equal(t, len(whole)/2+len(whole), m.bytes)
	for m.bytes > 0 {
		before := m.bytes
		m.unmap(3 * pageSize)
		require.LessOrEqual(t, before-m.bytes, 3*pageSize)
	}
	require.Empty(t, m.idle)
}

// Growing and leaving out what is consumed changes no byte.
func TestLargeBufferKeepsItsBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 0))
	var p bufPool
	t.Cleanup(p.pages.close)
	grown := 0
	for round := range 20 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			b := p.large(1 + rng.IntN(100_000))
			other := p.large(1 + rng.IntN(100_000)) // in the way, sometimes
			other.B = append(other.B, "another's"...)
			var want []byte
			off := 0
			for range 30 {
				more := random(rng, min(b.Room(), rng.IntN(200_000)))
				b.B = append(b.B, more...)
				want = append(want, more...)
				if off < len(b.B) {
					n := rng.IntN(len(b.B)-off) / 2
					off, want = off+n, want[n:]
				}
				size := len(want) + rng.IntN(300_000)
				left, ok := b.enlarge(off, size)
				if ok {
					grown++
					require.Less(t, left, pageSize)
					require.Equal(t, left+size, cap(b.B), "no more than was asked for")
				}
				off = left
				require.True(t, bytes.Equal(want, b.B[off:]))
			}
			require.Equal(t, "another's", string(other.B))
			b.Release()
			other.Release()
			require.Nil(t, b.B, "what is used after its release shall be seen")
		})
	}
	// Neighbours that were not mapped at once cannot always move together.
	require.Greater(t, grown, 20*30/2)
}

func TestBufferIsNotEnlarged(t *testing.T) {
	var p bufPool
	t.Cleanup(p.pages.close)
	pooled := p.get(1 << 20)
	_, ok := pooled.enlarge(0, 2<<20)
	require.False(t, ok, "from the heap")

	b := p.large(1 << 20)
	b.B = append(b.B, "bytes"...)
	at := address(b.B)
	b.Retain()
	off, ok := b.enlarge(3, 2<<20)
	require.False(t, ok, "shared")
	require.Equal(t, 3, off)
	require.Equal(t, at, address(b.B))
	require.Equal(t, 1<<20, cap(b.B))
	b.Release()

	off, ok = b.enlarge(3, 1<<46)
	require.False(t, ok, "more than there are addresses")
	require.Equal(t, 3, off)
	require.Equal(t, "bytes", string(b.B))
	_, ok = b.enlarge(0, 2<<20)
	require.True(t, ok)
	require.Equal(t, "bytes", string(b.B))
	b.Release()
}

// A mapping in two parts, of which the kernel makes one no more, is not lost.
func TestNothingIsLostWhenTheSystemRefuses(t *testing.T) {
	var m mappings
	t.Cleanup(m.close)
	mem, err := m.take(8 * pageSize)
	require.NoError(t, err)
	m.put(mem)
	mem, err = m.take(4 * pageSize)
	require.NoError(t, err)
	mem, err = m.extend(mem, 1<<46)
	require.Error(t, err)
	require.Len(t, mem, 8*pageSize)
	require.Zero(t, m.bytes)
	m.put(mem)
}

func TestHeapWhenThereIsNoMapping(t *testing.T) {
	r := newRig(t)
	refused := 0
	r.l.pool.pages.fresh = func(int) ([]byte, error) { refused++; return nil, syscall.ENOMEM }
	f := &framer{expect: true}
	c, p := r.tcp(f)
	f.conn = c
	want := string(random(rand.New(rand.NewPCG(6, 0)), 5<<20))
	r.feed(p, frame(want), func() int { return 1 << 20 })
	r.until("the frame", func() bool { return len(f.frames) == 1 })
	require.True(t, want == f.frames[0])
	require.Positive(t, refused)
}

// What was shared of a large frame stays where it is when the rest outgrows the buffer.
func TestSharedLargeInputIsNotMoved(t *testing.T) {
	r := newRig(t)
	h := &fake{}
	var c *Conn
	var ref Ref
	var at []byte
	var want string
	const size = 6 << 20
	h.data = func(b []byte) int {
		if ref.Buf == nil && len(b) > 1<<20 {
			ref = c.Share(b[100:])
			at, want = ref.Bytes(), string(ref.Bytes())
		}
		if len(b) == size {
			return size
		}
		c.Expect(size - len(b))
		return 0
	}
	c, p := r.tcp(h)
	r.feed(p, string(random(rand.New(rand.NewPCG(7, 0)), size)), func() int { return 1 << 20 })
	r.until("all is taken", func() bool { return c.in == nil })
	require.NotNil(t, ref.Buf.mapping)
	require.True(t, ref.Buf.Sole(), "the connection has gone on in another")
	require.Equal(t, address(at), address(ref.Bytes()))
	require.True(t, want == string(ref.Bytes()))
	ref.Buf.Release()
}

// rssBytes is the memory that this process has from the system now.
func rssBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var size, resident int
	_, err = fmt.Sscan(string(text), &size, &resident)
	require.NoError(t, err)
	return resident * pageSize
}

// A large frame leaves neither pages nor work for the garbage collector behind.
func TestMemoryOfLargeFramesGoesBack(t *testing.T) {
	r := newRig(t)
	const size = 96 << 20
	h := &fake{}
	var c *Conn
	peak := 0
	h.data = func(b []byte) int {
		if len(b) < size {
			c.Expect(size - len(b))
			return 0
		}
		peak = rssBytes(t)
		return len(b)
	}
	c, p := r.tcp(h)
	piece := string(make([]byte, 1<<20))
	debug.FreeOSMemory() // or what earlier tests have left blurs the picture
	before := rssBytes(t)
	for range size / len(piece) {
		r.feed(p, piece, func() int { return len(piece) })
	}
	r.until("all is taken", func() bool { return c.in == nil && peak > 0 })
	require.Greater(t, peak, before+size*9/10)
	require.Equal(t, size, r.l.pool.pages.bytes, "kept for the next one, and no more than was used")
	require.NotNil(t, r.l.unmapper)

	r.l.unmapper.Reset(0) // as if the time were over
	steps := 0
	r.until("the pages are back", func() bool { steps++; return r.l.pool.pages.bytes == 0 })
	require.GreaterOrEqual(t, steps, size/unmapPiece, "in pieces")
	r.step()
	require.False(t, r.l.unfinished())
	require.Nil(t, r.l.unmapper)
	require.Less(t, rssBytes(t), before+size/4)
}

func TestIdlePagesAreBounded(t *testing.T) {
	r := newRig(t)
	for range 3 {
		r.l.NewBuf(keepMappedBytes / 2).Release()
	}
	a, b := r.l.NewBuf(keepMappedBytes), r.l.NewBuf(keepMappedBytes)
	a.Release()
	b.Release()
	require.True(t, r.l.unfinished())
	r.until("the surplus is given back", func() bool { return !r.l.unfinished() })
	require.LessOrEqual(t, r.l.pool.pages.bytes, keepMappedBytes)
	require.Positive(t, r.l.pool.pages.bytes)
}
