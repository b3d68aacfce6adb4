package eventloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
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
	require.Len(t, whole.mem, roundToPages(64*page-1))
	m.put(whole)
	require.Equal(t, len(whole.mem), m.bytes)

	a, err := m.take(1)
	require.NoError(t, err)
	require.Equal(t, address(whole.mem), address(a.mem))
	require.Len(t, a.mem, pageSize)
	require.Equal(t, len(whole.mem)-pageSize, m.bytes)

	same, err := m.extend(a, pageSize)
	require.NoError(t, err)
	require.Equal(t, address(a.mem), address(same.mem))
	require.Len(t, same.mem, pageSize, "it is as long as that")

	a, err = m.extend(a, len(whole.mem)/2)
	require.NoError(t, err)
	require.Equal(t, address(whole.mem), address(a.mem), "the pages behind it are idle")
	require.Equal(t, len(whole.mem)/2, m.bytes)

	b, err := m.take(pageSize)
	require.NoError(t, err)
	require.Equal(t, address(a.mem)+uintptr(len(a.mem)), address(b.mem))
	copy(a.mem, "kept")
	a, err = m.extend(a, len(whole.mem)) // b is in the way
	require.NoError(t, err)
	require.Equal(t, "kept", string(a.mem[:4]))
	require.False(t, address(a.mem) < address(b.mem)+uintptr(pageSize) && address(b.mem) < address(a.mem)+uintptr(len(a.mem)), "they overlap")

	idle := len(m.idle)
	m.put(b)
	require.Len(t, m.idle, idle, "neighbours become one")
	m.put(a)
	require.Equal(t, len(whole.mem)/2+len(whole.mem), m.bytes)
	for m.bytes > 0 {
		before := m.bytes
		m.unmap(3 * pageSize)
		require.LessOrEqual(t, before-m.bytes, 3*pageSize)
	}
	require.Empty(t, m.idle)
}

// Growing changes no byte, whatever is mapped and given back around it.
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
			for i := range 30 {
				more := random(rng, min(b.Room(), rng.IntN(200_000)))
				b.B = append(b.B, more...)
				want = append(want, more...)
				size := len(want) + rng.IntN(300_000)
				if b.enlarge(size) {
					grown++
					require.Equal(t, size, cap(b.B), "no more than was asked for")
				}
				require.True(t, bytes.Equal(want, b.B))
				if i%5 == 4 {
					other.Release()
					other = p.large(1 + rng.IntN(1_000_000))
					other.B = append(other.B, "another's"...)
				}
				require.Equal(t, "another's", string(other.B))
			}
			b.Release()
			other.Release()
			require.Nil(t, b.B, "what is used after its release shall be seen")
		})
	}
	require.Equal(t, 20*30, grown, "the kernel has refused to move some")
}

func TestBufferIsNotEnlarged(t *testing.T) {
	var p bufPool
	t.Cleanup(p.pages.close)
	pooled := p.get(1 << 20)
	require.False(t, pooled.enlarge(2<<20), "from the heap")

	b := p.large(1 << 20)
	b.B = append(b.B, "bytes"...)
	at := address(b.B)
	b.Retain()
	require.False(t, b.enlarge(2<<20), "shared")
	require.Equal(t, at, address(b.B))
	require.Equal(t, 1<<20, cap(b.B))
	b.Release()

	require.False(t, b.enlarge(1<<46), "more than there are addresses")
	require.Equal(t, "bytes", string(b.B))
	require.True(t, b.enlarge(2<<20))
	require.Equal(t, "bytes", string(b.B))
	b.Release()
}

// A mapping in two parts, of which the kernel makes one no more, is not lost.
func TestNothingIsLostWhenTheSystemRefuses(t *testing.T) {
	var m mappings
	t.Cleanup(m.close)
	r, err := m.take(8 * pageSize)
	require.NoError(t, err)
	m.put(r)
	r, err = m.take(4 * pageSize)
	require.NoError(t, err)
	r, err = m.extend(r, 1<<46)
	require.Error(t, err)
	require.Len(t, r.mem, 8*pageSize)
	require.Zero(t, m.bytes)
	m.put(r)
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
	require.True(t, ref.Buf.mapped())
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
	require.Equal(t, size, r.l.pool.pages.bytes, "kept for the next one, and no more than was used")
	require.NotNil(t, r.l.unmapper)

	r.l.unmapper.Reset(0) // as if the time were over
	steps := 0
	r.until("the pages are back", func() bool { steps++; return r.l.pool.pages.bytes == 0 })
	require.GreaterOrEqual(t, steps, size/unmapPiece, "in pieces")
	r.step()
	require.False(t, r.l.unfinished())
	require.Nil(t, r.l.unmapper)
	after := rssBytes(t)
	require.Less(t, after, before+size/4)
	require.Greater(t, peak, after+size*9/10, "compared with now, as what earlier tests have left may have gone back meanwhile")
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

// Pages in many small pieces go back as fast as those in one.
func TestManyPiecesGoBackAsFastAsOne(t *testing.T) {
	var m mappings
	t.Cleanup(m.close)
	const pages = 400
	whole, err := m.take(2 * pages * pageSize)
	require.NoError(t, err)
	mem := whole.mem
	for i := range pages { // every other page, so that they stay apart
		m.put(extent{mem[2*i*pageSize:][:pageSize:pageSize], whole.mapping})
	}
	require.Len(t, m.idle, pages)
	m.unmap(unmapPiece)
	require.Equal(t, pages*pageSize-unmapPiece, m.bytes)
	require.Len(t, m.idle, pages-unmapPiece/pageSize)
	require.Equal(t, address(mem)+uintptr(unmapPiece*2), address(m.idle[0].mem), "the oldest first")
	m.close()
	require.Zero(t, m.bytes)
	for i := range pages {
		m.put(extent{mem[(2*i+1)*pageSize:][:pageSize:pageSize], whole.mapping})
	}
}

// What is shared of a large buffer beside the large frame does not hold its memory.
func TestSmallPartDoesNotHoldALargeBuffer(t *testing.T) {
	r := newRig(t)
	const large, small = 8 << 20, 40 << 10
	text := string(random(rand.New(rand.NewPCG(9, 0)), large+small))
	h := &fake{}
	var c *Conn
	var ref Ref
	h.data = func(b []byte) int {
		if len(b) < len(text) {
			c.Expect(len(text) - len(b))
			return 0
		}
		ref = c.Share(b[large:])
		return len(b)
	}
	c, p := r.tcp(h)
	r.feed(p, text, func() int { return 1 << 20 })
	r.until("all is taken", func() bool { return ref.Buf != nil })
	require.True(t, text[large:] == string(ref.Bytes()))
	require.LessOrEqual(t, cap(ref.Buf.B), 2*small)
	require.GreaterOrEqual(t, r.l.pool.pages.bytes, large, "the large buffer is free")
	ref.Buf.Release()
}

// A large frame behind another one begins at the front of a buffer of its own: it need
// not wait until the first is let go of, and does not grow with what lies before it.
func TestLargeFrameLeavesTheNextOneAlone(t *testing.T) {
	r := newRig(t)
	f := &framer{expect: true}
	c, p := r.tcp(f)
	f.conn = c
	rng := rand.New(rand.NewPCG(10, 0))
	var want []string
	var text strings.Builder
	for i := range 4 {
		want = append(want, string(random(rng, (3+2*i)<<20)))
		text.WriteString(frame(want[i]))
	}
	r.feed(p, text.String(), func() int {
		if c.in != nil {
			require.Less(t, cap(c.in.B), 2*c.Buffered()+2*scratchSize)
			require.True(t, !c.in.mapped() || c.inOff == 0, "in a mapping, behind another frame")
		}
		return 1 << 20
	})
	r.until("the frames", func() bool { return len(f.frames) == len(want) })
	for i := range want {
		require.True(t, want[i] == f.frames[i], "frame %d", i)
	}
}

// Neighbours that were mapped apart do not become one: the kernel could not move them.
func TestNeighboursOfTwoMappingsStayTwo(t *testing.T) {
	var m mappings
	t.Cleanup(m.close)
	whole, err := m.take(4 * pageSize)
	require.NoError(t, err)
	a, b := m.number(whole.mem[:2*pageSize:2*pageSize]), m.number(whole.mem[2*pageSize:])
	m.put(b)
	m.put(a)
	require.Len(t, m.idle, 2)
	a, err = m.take(pageSize)
	require.NoError(t, err)
	require.True(t, a.precedes(m.idle[1]))
	require.False(t, a.join(m.idle[1]).precedes(b))
	m.put(a)
	require.Len(t, m.idle, 2)
	require.Equal(t, 4*pageSize, m.bytes)
}
