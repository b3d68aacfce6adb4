package filter

import (
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

func TestValuesBeyondTheLimitsAreLeftAloneAndCounted(t *testing.T) {
	b := bulk(storedForm(compress.Zstd, make([]byte, 10_000)))
	for name, lim := range map[string]compress.Limits{"size": {Size: 9999, Ratio: 1000}, "ratio": {Size: 10_000, Ratio: 10}} {
		t.Run(name, func(t *testing.T) {
			c := newCompression(t, Compression{Limits: lim})
			assert.Equal(t, Pass, checkReply(t, c, "GET", []byte(b), []byte(b)))
			assert.Equal(t, CompressStats{TooLarge: 1}, c.stats)
			require.Len(t, c.broken, 1)
			assert.ErrorIs(t, c.broken[0], compress.ErrTooLarge)
		})
	}
}

// zerosClaimed is a zstd frame of n bytes, all zero, in blocks of 128 KiB.
func zerosClaimed(n int) []byte {
	const most = 128 << 10
	v := append([]byte("(P$\x01\r\n\x28\xb5\x2f\xfd\xa0"), byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	for n > 0 {
		size := min(n, most)
		n -= size
		header := size<<3 | 1<<1
		if n == 0 {
			header |= 1
		}
		v = append(v, byte(header), byte(header>>8), byte(header>>16), 0)
	}
	return v
}

func TestRepliesThatWouldBeTooLargeAreAnswered(t *testing.T) {
	c := newCompression(t, Compression{Limits: compress.Limits{Size: 512 << 20, Ratio: 100_000}})
	require.Equal(t, make([]byte, 300_000), readBack(zerosClaimed(300_000), c.set.Limits))
	value := bulk(zerosClaimed(350 << 20))
	r := replyTo("MGET", "*3\r\n"+strings.Repeat(value, 3))
	require.Equal(t, Changed, c.reply(r))
	assert.Regexp(t, `^-ERR samaritan: .* 1 GiB .*\r\n$`, string(r.Bytes))
	assert.True(t, r.Memory.Sole())
	assert.EqualValues(t, 1, c.stats.TooLarge)
	r.Memory.Release()

	r = replyTo("MGET", "*2\r\n"+strings.Repeat(value, 2))
	require.Equal(t, Later, c.reply(r), "700 MiB are not too many")
	b, _ := r.Work.Finish()
	assert.Nil(t, b, "it has not been done")

	r = replyTo("MGET", "*2\r\n"+strings.Repeat(value, 2))
	r.Beside = 350 << 20
	require.Equal(t, Changed, c.reply(r), "with the other parts of the command they are")
	r.Memory.Release()
	assert.EqualValues(t, 2, c.stats.TooLarge)
	assert.Zero(t, c.stats.Corrupt)

	r = replyTo("HGETDEL", "*3\r\n"+strings.Repeat(value, 3))
	require.Equal(t, Later, c.reply(r), "the values are nowhere else any more: as many are decompressed as have room")
	assert.Len(t, r.Work.(*decompressWork).pieces, 2)
	assert.EqualValues(t, 3, c.stats.TooLarge)
	r.Finish()
}

// What counts is how large the reply gets: the stored values are not in it any more.
func TestTheLimitOfARepliesSizeIsOfTheDecompressedOne(t *testing.T) {
	const n, chunk = 280 << 20, 65536
	reply := sparse(t, 2*n+n/8)
	b := append(reply[:0], "*2\r\n"...)
	for range 2 {
		b = appendPlainSnappy(b, n/chunk, chunk)
	}
	require.Same(t, &reply[0], &b[0])
	c := newCompression(t, Compression{Limits: wide})
	r := replyTo("MGET", b)
	require.Equal(t, Later, c.reply(r), "560 MiB stored are 560 MiB decompressed: %.200q", r.Bytes[:min(len(r.Bytes), 200)])
	r.Finish()
}

// appendPlainSnappy appends a stored value of chunks that are not compressed, and touches little of
// their memory.
func appendPlainSnappy(b []byte, chunks, size int) []byte {
	const stream = likeStored + "\xff\x06\x00\x00sNaPpY"
	body := size + 4
	b = resp.AppendBulkHeader(b, len(stream)+chunks*(4+body))
	b = append(b, stream...)
	for range chunks {
		b = append(b, 1, byte(body), byte(body>>8), byte(body>>16))
		b = b[:len(b)+body]
	}
	return append(b, "\r\n"...)
}

// A value that is itself a valid stored form has to read back as it was written, also when it is too
// long, or would get too small, to be compressed.
func TestStoredFormsBeyondTheLimitsComeBackAsWritten(t *testing.T) {
	padding := append([]byte{0xfe, 0x00, 0x80, 0x00}, make([]byte, 0x8000)...) // a chunk that readers skip
	padded := append(storedForm(compress.Snappy, []byte("inner")), padding...)
	for name, lim := range map[string]compress.Limits{
		"size":  {Size: 10_000, Ratio: 1000},
		"ratio": {Size: 512 << 20, Ratio: 20},
	} {
		for algorithm, set := range bothAlgorithms {
			t.Run(name+"/"+algorithm, func(t *testing.T) {
				set := set
				set.Limits = lim
				c := newCompression(t, set)
				r := requestOf(t, []byte("SET"), []byte("key"), padded)
				if name == "size" {
					require.Equal(t, Answered, c.request(r), "there is no form in which it could be read back")
					assert.Contains(t, string(r.Answer), "is longer than max_size")
					return
				}
				checkRequest(t, c, r, []int{2})
			})
		}
	}
}

// A value that looks like the stored form is compressed also when it gets longer by that; not beyond what a bulk string may
// have.
func TestNoStoredFormIsLongerThanABulkString(t *testing.T) {
	for name, set := range bothAlgorithms {
		t.Run(name, func(t *testing.T) {
			c := newCompression(t, set)
			v := sparse(t, resp.MaxBulk)
			copy(v, likeStored)
			most := sort.Search(len(v), func(n int) bool { return c.coder.bound(v[:n]) > resp.MaxBulk }) - 1
			require.Greater(t, most, resp.MaxBulk*9/10)
			assert.True(t, c.coder.worth(v[:most]))
			assert.Zero(t, c.stats.Skipped)
			assert.False(t, c.coder.worth(v[:most+1]))
			assert.False(t, c.coder.worth(v))
			assert.EqualValues(t, 2, c.stats.Skipped[Oversized])
		})
	}
}
