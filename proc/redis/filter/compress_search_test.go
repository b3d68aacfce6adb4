package filter

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/compress"
)

// rawBlocks is a stored value of n blocks with a byte each.
func rawBlocks(n int) []byte {
	v := append([]byte("(P$\x01\r\n\x28\xb5\x2f\xfd\xa0"), byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	v = append(v, strings.Repeat("\x08\x00\x00x", n-1)...)
	return append(v, "\x09\x00\x00x"...)
}

// In a large reply even the look for stored values takes long.
func TestLongSearchesGoOnBesideTheLoop(t *testing.T) {
	plain := string(jsonValue(100, 1))
	stored := bulk(storedForm(compress.Snappy, []byte(plain)))
	for what, tt := range map[string]struct {
		name, reply, want string
		corrupt, values   int
	}{
		"broken values": {name: "HVALS", reply: "*50000\r\n" + strings.Repeat(bulk(likeStored), 50000), corrupt: 50000},
		"brackets":      {name: "HVALS", reply: "*200000\r\n" + strings.Repeat(bulk("(x"), 200000)},
		"nulls": {
			name: "MGET", values: 1, reply: "*200001\r\n" + strings.Repeat("$-1\r\n", 200000) + stored,
			want: "*200001\r\n" + strings.Repeat("$-1\r\n", 200000) + bulk(plain),
		},
		"nulls of RESP3": {
			name: "MGET", values: 2, reply: "*200002\r\n" + stored + strings.Repeat("_\r\n", 200000) + stored,
			want: "*200002\r\n" + bulk(plain) + strings.Repeat("_\r\n", 200000) + bulk(plain),
		},
		"strings": {
			name: "HVALS", values: 2, reply: "*100002\r\n" + stored + strings.Repeat("$1\r\nx\r\n", 100000) + stored,
			want: "*100002\r\n" + bulk(plain) + strings.Repeat("$1\r\nx\r\n", 100000) + bulk(plain),
		},
		"short blocks": {name: "GET", values: 1, reply: bulk(rawBlocks(500_000)), want: bulk(strings.Repeat("x", 500_000))},
		"many values": {
			name: "HVALS", values: 10000, reply: "*10000\r\n" + strings.Repeat(stored, 10000),
			want: "*10000\r\n" + strings.Repeat(bulk(plain), 10000),
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCompression(t, Compression{Limits: wide})
			r := replyTo(tt.name, tt.reply)
			require.Equal(t, Later, c.reply(r))
			require.IsType(t, new(searchWork), r.Work)
			was := c.stats
			r.Work.Begin()
			r.Work.Do(bytes.Clone(r.Bytes)) // it may have moved
			assert.Equal(t, was, c.stats, "nothing is counted beside the loop")
			assert.Empty(t, c.broken, "nor told")
			r.Finish()

			d := newCompression(t, Compression{Limits: wide})
			want, verdict := tt.want, Changed
			if want == "" {
				want, verdict = tt.reply, Pass
			}
			assert.Equal(t, verdict, checkReply(t, d, tt.name, []byte(tt.reply), []byte(want)))
			assert.EqualValues(t, tt.corrupt, d.stats.Corrupt)
			assert.EqualValues(t, tt.values, d.stats.Decompressed[0].Values+d.stats.Decompressed[1].Values)
			assert.EqualValues(t, 1, d.stats.Offloaded, "each reply once")
			assert.Len(t, d.broken, min(tt.corrupt, 1))
		})
	}
}

func TestShortSearchesAreDoneAtOnce(t *testing.T) {
	large := bulk(storedForm(compress.Snappy, jsonValue(16<<10, 1)))
	small := bulk(storedForm(compress.Zstd, jsonValue(200, 1)))
	for what, reply := range map[string]string{
		"large values": "*25\r\n" + strings.Repeat(large, 25),
		"small values": "*500\r\n" + strings.Repeat(small, 500),
		"beside plain": "*5001\r\n" + strings.Repeat(bulk("plain"), 5000) + small,
		"brackets":     "*5000\r\n" + strings.Repeat(bulk("(x"), 5000),
	} {
		t.Run(what, func(t *testing.T) {
			c := newCompression(t, Compression{Limits: wide})
			r := replyTo("MGET", reply)
			require.NotEqual(t, Later, c.reply(r))
			release(r.Memory)
			assert.Zero(t, c.stats.Offloaded)
		})
	}
}

// Such chunks take longer to decompress than what they hold.
func TestValuesOfShortChunksAreMuchWork(t *testing.T) {
	c := newCompression(t, Compression{Limits: wide})
	r := replyTo("GET", bulk(rawBlocks(40_000)))
	require.Equal(t, Later, c.reply(r))
	require.IsType(t, new(decompressWork), r.Work)
	r.Finish()
	r = replyTo("GET", bulk(storedForm(compress.Snappy, randomValue(100, 1))))
	require.Equal(t, Changed, c.reply(r))
	r.Memory.Release()
}

// Wherever a search is broken off, it finds the same in the end.
func TestASearchCanBeBrokenOffAnywhere(t *testing.T) {
	reply, _ := mixedReply(compress.Snappy, 300)
	reply = append(append([]byte("*3\r\n:1\r\n"), reply...), "_\r\n"...)
	whole := newCompression(t, Compression{Limits: wide})
	r := replyTo("MGET", reply)
	want := search{room: len(reply)}
	require.True(t, whole.coder.find(&want, r, reply, math.MaxInt))
	require.Len(t, want.pieces, 3, "one that is broken behind its headers, too")
	for most := range 2000 {
		c := newCompression(t, Compression{Limits: wide})
		got := search{room: len(reply)}
		if c.coder.find(&got, r, reply, most) {
			require.Equal(t, want, got)
		}
		c.coder.find(&got, r, reply, math.MaxInt)
		require.Equal(t, want, got, "%d", most)
		require.Equal(t, whole.stats, c.stats)
	}
}

// A chain calls the filter again that has searched, and then the others.
func TestAFilterIsCalledAgainWhenItHasSearched(t *testing.T) {
	plain := jsonValue(100, 1)
	stored := bulk(storedForm(compress.Snappy, plain))
	reply := "*10000\r\n" + strings.Repeat(stored, 10000)
	want := "*10000\r\n" + strings.Repeat(bulk(plain), 10000)
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			c := newCompression(t, Compression{Limits: wide})
			var seen []string
			chain := NewChain(Hooks{Reply: func(r *Reply) Verdict { seen = append(seen, string(r.Bytes)); return Pass }}, c.Hooks())
			r := replyTo("HVALS", reply)
			require.Equal(t, Later, chain.Reply(r))
			if gone { // nobody waits for it any more
				r.Finish()
				require.Equal(t, Pass, chain.Reply(r))
				assert.Equal(t, []string{reply}, seen)
				return
			}
			r.Work.Begin()
			r.Work.Do(r.Bytes)
			r.Finish()
			require.Equal(t, Later, chain.Reply(r), "there is much to decompress")
			assert.Empty(t, seen)
			r.Work.Begin()
			r.Work.Do(r.Bytes)
			r.Finish()
			require.Equal(t, Changed, chain.Reply(r))
			require.Len(t, seen, 1)
			assert.True(t, seen[0] == want)
			assert.True(t, r.Memory.Sole())
			r.Memory.Release()
		})
	}
}

// What has too much in it is refused also when it is found beside the loop.
func TestRepliesThatWouldBeTooLargeAreAnsweredAfterALongSearch(t *testing.T) {
	c := newCompression(t, Compression{Limits: compress.Limits{Size: 512 << 20, Ratio: 100_000}})
	r := replyTo("MGET", "*100003\r\n"+strings.Repeat("$1\r\nx\r\n", 100000)+strings.Repeat(bulk(zerosClaimed(350<<20)), 3))
	require.Equal(t, Later, c.reply(r))
	r.Work.Begin()
	r.Work.Do(r.Bytes)
	r.Finish()
	require.Equal(t, Changed, c.reply(r))
	assert.Regexp(t, `^-ERR samaritan: .* 1 GiB .*\r\n$`, string(r.Bytes))
	r.Memory.Release()
}
