package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/stats"
	"samaritan/proc/redis/compress"
)

// tally adds up what a sequence of commands has to count.
type tally map[string]int

func (n tally) converted(a compress.Algorithm, what string, before, after int) {
	n[a.String()+"."+what+"_total"]++
	n[a.String()+"."+what+"_before_bytes_total"] += before
	n[a.String()+"."+what+"_after_bytes_total"] += after
}

func TestStatisticsOfCompression(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		set := compressing(a)
		set.MaxSize, set.MaxRatio = 1<<20, 15
		r := startCompressing(t, set)
		on, off := connect(t, r.on.Addr), connect(t, r.off.Addr)
		want, wantOff := tally{}, tally{}
		assert.Empty(t, r.on.compressionStats())

		values := []string{jsonText(1000), jsonText(16 << 10), jsonText(70_000)}
		short := "(P$\x00\r\n"
		wrote := func(v string) { want.converted(a, "compressed", len(v), len(storedForm(a, v))) }
		read := func(n tally, v string) { n.converted(a, "decompressed", len(storedForm(a, v)), len(v)) }
		for _, v := range values {
			must(t, on, "SET", "k", v)
			wrote(v)
			must(t, on, "MSET", "a", v, "b", v, "{a}c", "small")
			wrote(v)
			wrote(v)
			want["skipped.small_total"]++
			must(t, on, "HSET", "h", "f", v, "g", "small", "h", short)
			wrote(v)
			want["skipped.small_total"]++
			wrote(short) // which gets longer
			must(t, on, "GETSET", "k", v)
			wrote(v)
			read(want, v)
			must(t, on, "MGET", "a", "none", "b", "k")
			read(want, v)
			read(want, v)
			read(want, v)
			must(t, off, "HGETALL", "h")
			read(wantOff, v)
			read(wantOff, short)
		}
		must(t, on, "SET", "k", randomText(3000))
		want["skipped.incompressible_total"]++
		must(t, on, "SET", "k", randomText(1500))
		want["skipped.not_smaller_total"]++
		must(t, on, "SET", "k", jsonText(1<<20+1))
		want["skipped.oversized_total"]++
		must(t, on, "SET", "k", strings.Repeat("z", 50_000)) // it could not be read back
		want["skipped.ratio_total"]++
		must(t, on, "GET", "k")
		errorOf(t, on, "APPEND", "k", "x")
		errorOf(t, on, "EVAL", "return 1", 0)
		want["disabled_total"] += 2
		must(t, on, "RPUSH", "list", jsonText(1000)) // it has no values of strings or hashes
		must(t, on, "LRANGE", "list", 0, -1)

		large := jsonText(800_000)
		must(t, on, "SET", "k", large)
		wrote(large)
		must(t, on, "GET", "k")
		read(want, large)
		want[strings.TrimPrefix(offloaded, "compression.")] += 2

		keys := put(t, r, "bad", storedForm(a, values[0])[:len(storedForm(a, values[0]))-1], storedForm(a, jsonText(1<<20+1)))
		must(t, on, "MGET", keys[0], keys[1])
		want["corrupt_total"]++
		want["too_large_total"]++

		assert.EqualValues(t, want, r.on.compressionStats())
		assert.EqualValues(t, wantOff, r.off.compressionStats())
		compressed, stored := want[a.String()+".compressed_before_bytes_total"], want[a.String()+".compressed_after_bytes_total"]
		assert.InDelta(t, float64(compressed)/float64(stored), r.on.ratio(a), 1e-9)
		assert.Zero(t, r.on.ratio(1-a))
		assert.Zero(t, r.off.ratio(a))
	})
}

// ratio is the gauge of that name.
func (p *testProxy) ratio(a compress.Algorithm) (ratio float64) {
	p.Stats(func(s stats.Sample) {
		if s.Name == "compression."+a.String()+".ratio" {
			ratio = s.Value
		}
	})
	return ratio
}

// Settings that change begin no counter anew.
func TestStatisticsOfCompressionStayWhenSettingsChange(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	conn := connect(t, r.on.Addr)
	v := jsonText(1000)
	const n = 3
	for range n {
		must(t, conn, "SET", "k", v)
		must(t, conn, "GET", "k")
		r.on.setCompression(t, nil).setCompression(t, &redis.Compression{MaxSize: 5}).setCompression(t, compressing(compress.Snappy))
	}
	stored := len(storedForm(compress.Snappy, v))
	assert.Equal(t, map[string]int{
		"snappy.compressed_total": n, "snappy.compressed_before_bytes_total": n * len(v), "snappy.compressed_after_bytes_total": n * stored,
		"snappy.decompressed_total": n, "snappy.decompressed_before_bytes_total": n * stored, "snappy.decompressed_after_bytes_total": n * len(v),
	}, r.on.compressionStats())
}

// Hot keys count what goes to the node and what comes from it.
func TestHotKeysCountStoredBytes(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		p := r.on.counting(t)
		conn := connect(t, p.Addr)
		v, large := jsonText(16<<10), jsonText(700_000)
		stored, storedLarge := storedForm(a, v), storedForm(a, large)
		check := func(key string, in, out int, write bool) {
			t.Helper()
			k := p.counted()[key]
			assert.EqualValues(t, 1, k.Count, key)
			assert.EqualValues(t, in, k.BytesIn, key)
			assert.EqualValues(t, out, k.BytesOut, key)
			assert.EqualValues(t, btoi(write), k.Writes, key)
			assert.EqualValues(t, btoi(!write), k.Reads, key)
			p.forget()
		}
		p.forget()
		must(t, conn, "SET", "k", v)
		check("k", frameLen("SET", "k", stored), len("+OK\r\n"), true)
		must(t, conn, "GET", "k")
		check("k", frameLen("GET", "k"), len(bulk(stored)), false)
		must(t, conn, "MGET", "k", "none") // a part of its own
		check("k", frameLen("MGET", "k"), len("*1\r\n"+bulk(stored)), false)
		must(t, conn, "HSET", "h", "f", v, "g", "x")
		check("h", frameLen("HSET", "h", "f", stored, "g", "x"), len(":2\r\n"), true)
		must(t, conn, "HGETALL", "h")
		check("h", frameLen("HGETALL", "h"), len("*4\r\n"+bulk("f")+bulk(stored)+bulk("g")+bulk("x")), false)
		must(t, conn, "SET", "l", large) // beside the loop
		check("l", frameLen("SET", "l", storedLarge), len("+OK\r\n"), true)
		must(t, conn, "GET", "l")
		check("l", frameLen("GET", "l"), len(bulk(storedLarge)), false)
		errorOf(t, conn, "APPEND", "k", "x") // it is not sent
		assert.Empty(t, p.counted())
		p.forget()
		release := busy(t)
		require.NoError(t, conn.Send(cmd("SET", "l", large)))
		p.worked(t, 3)
		assert.Empty(t, p.counted(), "it is not sent yet")
		release()
		receive(t, conn, 1)
		check("l", frameLen("SET", "l", storedLarge), len("+OK\r\n"), true)
	})
}

// The size of the largest values is that of their stored forms.
func TestLargestValuesHaveTheSizesOfTheirStoredForms(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	p := r.on.counting(t)
	p.forget()
	conn := connect(t, p.Addr)
	v := jsonText(100_000)
	size := len(storedForm(compress.Snappy, v))
	must(t, conn, "SET", "written", v)
	must(t, connect(t, r.off.Addr), "SET", "read", storedForm(compress.Snappy, v))
	same(t, v, must(t, conn, "GET", "read"))
	p.mergeOnce()
	found := map[string]int{}
	for _, l := range p.hotKeys().Values {
		found[string(l.Key)] = l.Size
	}
	assert.Equal(t, map[string]int{"written": size, "read": size}, found)
}

// A HOTKEYS session counts the same bytes.
func TestHotkeysSessionCountsStoredBytes(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		conn := connect(t, r.on.Addr)
		v, large := jsonText(16<<10), jsonText(700_000)
		must(t, conn, "HOTKEYS", "START", "METRICS", 1, "NET")
		want := map[string]int64{}
		for k, v := range map[string]string{"k": v, "l": large} {
			stored := storedForm(a, v)
			must(t, conn, "SET", k, v)
			must(t, conn, "GET", k)
			want[k] = int64(frameLen("SET", k, stored) + len("+OK\r\n") + frameLen("GET", k) + len(bulk(stored)))
		}
		got := fieldsOf(t, must(t, conn, "HOTKEYS", "GET"))
		assert.Equal(t, want, pairsOf(t, got["by-net-bytes"]))
		assert.Equal(t, want["k"]+want["l"], got["total-net-bytes"])
		must(t, conn, "HOTKEYS", "STOP")
	})
}
