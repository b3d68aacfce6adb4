package eventloop

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBufferSizes(t *testing.T) {
	var p bufPool
	for _, tc := range []struct{ n, want int }{
		{-1, 1024},
		{0, 1024},
		{1, 1024},
		{1024, 1024},
		{1025, 2048},
		{scratchSize, scratchSize},
		{1 << 20, 1 << 20},
		{1<<20 + 1, 1<<20 + 1}, // beyond the largest class
	} {
		b := p.get(tc.n)
		require.Equal(t, tc.want, cap(b.B), "%d", tc.n)
		require.Equal(t, tc.want, b.Room())
		require.Empty(t, b.B)
		require.True(t, b.Sole())
		b.Release()
	}
}

func TestLastReferenceReturnsTheBuffer(t *testing.T) {
	var p bufPool
	b := p.get(100)
	b.B = append(b.B, "some bytes"...)
	b.Retain()
	require.False(t, b.Sole())
	b.Release()
	require.Zero(t, p.count[0])
	require.True(t, b.Sole())
	b.Release()
	require.Equal(t, 1, p.count[0])
	again := p.get(200)
	require.Same(t, b, again)
	require.Empty(t, again.B)
	require.True(t, again.Sole())
	require.NotSame(t, b, p.get(200))
}

func TestPoolIsBounded(t *testing.T) {
	for class := range bufClasses {
		var p bufPool
		size := 1 << (class + minBufClass)
		limit := poolLimit / size
		var bufs []*Buf
		for range limit + 3 {
			bufs = append(bufs, p.get(size))
		}
		for _, b := range bufs {
			b.Release()
		}
		require.Equal(t, limit, p.count[class], "size %d", size)
		for range limit {
			require.NotNil(t, p.get(size))
		}
		require.Zero(t, p.count[class])
		require.Nil(t, p.free[class])
	}
	var p bufPool
	p.get(1<<20 + 1).Release()
	require.Zero(t, p.count)
}
