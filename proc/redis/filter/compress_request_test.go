package filter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testvalues"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
)

// checkRequest has a filter see a command and checks what it makes of it. values are the arguments
// that may be changed. It returns how many were.
func checkRequest(t testing.TB, c *compression, r *Request, values []int) (changed int) {
	t.Helper()
	before := *r
	before.Frame, before.Args = bytes.Clone(r.Frame), argsOf(t, r.Frame)
	was := c.stats
	original := r.Frame
	verdict := c.request(r)
	require.Equal(t, before.Frame, original, "the original frame is not touched")
	if verdict == Later {
		r.Work.Do(original)
		r.Finish()
		verdict = r.verdict()
	}
	require.Contains(t, []Verdict{Pass, Changed}, verdict)
	require.Equal(t, argsOf(t, r.Frame), r.Args, "where the arguments lie")
	require.Len(t, r.Args, len(before.Args))
	changed = checkArguments(t, c, &before, r, values)
	require.Equal(t, verdict == Changed, changed > 0)
	n, old := total(c.stats.Compressed), total(was.Compressed)
	require.EqualValues(t, changed, n.Values-old.Values)
	require.Equal(t, int64(len(r.Frame))-int64(len(before.Frame)), frameDelta(n, old, &before, r))
	if r.Memory != nil {
		require.True(t, r.Memory.Sole())
		require.Same(t, &r.Memory.B[0], &r.Frame[0])
		r.Memory.Release()
		r.Memory = nil
	}
	return changed
}

// total adds up the algorithms: a plain stream is one of Snappy.
func total(all [compress.Algorithms]Conversions) (sum Conversions) {
	for i := range all {
		sum.add(&all[i])
	}
	return sum
}

// frameDelta is how much longer the frame has to be, by what was counted and by the length lines.
func frameDelta(n, old Conversions, before, after *Request) int64 {
	delta := int64(n.After-old.After) - int64(n.Before-old.Before)
	for i := range before.Args {
		delta += int64(len(fmt.Sprint(after.Args[i].Len)) - len(fmt.Sprint(before.Args[i].Len)))
	}
	return delta
}

// checkArguments compares what was asked for with what is sent.
func checkArguments(t testing.TB, c *compression, before, after *Request, values []int) (changed int) {
	t.Helper()
	isValue := make(map[int]bool)
	for _, i := range values {
		isValue[i] = true
	}
	for i := range before.Args {
		was, is := argument(before.Frame, before.Args[i]), argument(after.Frame, after.Args[i])
		if isValue[i] {
			require.True(t, bytes.Equal(was, readBack(is, c.set.Limits)), "argument %d reads back as it was written: %.100q", i, was)
		}
		if bytes.Equal(was, is) {
			continue
		}
		changed++
		require.True(t, isValue[i], "argument %d is no value", i)
		a, stored := compress.Detect(is)
		require.True(t, stored)
		_, like := compress.Detect(was)
		require.True(t, a == c.set.Algorithm || like, "a plain stream of Snappy is for what is above max_ratio")
		require.True(t, like || len(is) < len(was) && len(was) >= c.set.Threshold, "%d bytes became %d", len(was), len(is))
	}
	return changed
}

func TestValuesThatGetSmallerAreCompressed(t *testing.T) {
	big, json, small, noise := string(jsonValue(100_000, 1)), string(jsonValue(2000, 1)), "small", string(randomValue(5000, 1))
	for _, tt := range []struct {
		args    []string
		values  []int
		changed int
	}{
		{[]string{"SET", "key", json}, []int{2}, 1},
		{[]string{"set", "key", json, "EX", "100", "NX"}, []int{2}, 1},
		{[]string{"SET", json, small}, nil, 0},
		{[]string{"SET", json, json}, []int{2}, 1},
		{[]string{"SET", "key", noise}, nil, 0},
		{[]string{"SET", "key", ""}, nil, 0},
		{[]string{"SET", "key", big}, []int{2}, 1},
		{[]string{"SETEX", "key", "10", json}, []int{3}, 1},
		{[]string{"MSET", "a", json, "b", small, "c", json, "d", noise}, []int{2, 6}, 2},
		{[]string{"MSET", "a", small, "b", json}, []int{4}, 1},
		{[]string{"MSET", "a", big, "b", json, "c", big}, []int{2, 4, 6}, 3},
		{[]string{"HSET", "key", json, json, "f", small, "g", json}, []int{3, 7}, 2},
		{[]string{"HSETNX", "key", "f", json}, []int{3}, 1},
		{[]string{"MSETEX", "2", "a", json, "b", json, "EX", "10"}, []int{3, 5}, 2},
		{[]string{"HSETEX", "key", "EX", "10", "fields", "2", "f", json, "g", json}, []int{7, 9}, 2},
		{[]string{"LPUSH", "key", json}, nil, 0},
		{[]string{"GET", json}, nil, 0},
	} {
		for name, set := range bothAlgorithms {
			t.Run(fmt.Sprintf("%s/%s%d", name, tt.args[0], len(tt.args)), func(t *testing.T) {
				c := newCompression(t, set)
				for range 2 { // the second time with used scratch memory
					assert.Equal(t, tt.changed, checkRequest(t, c, requestOf(t, tt.args...), tt.values))
				}
			})
		}
	}
}

// A value that looks like the stored form has to be stored compressed, which makes it longer. Its
// length line may have more digits then.
func TestValuesThatLookLikeTheStoredFormAreEscaped(t *testing.T) {
	for name, set := range bothAlgorithms {
		for _, n := range []int{0, 1, 3, 4, 5, 60, 69, 70, 73, 80, 90, 93, 94, 970, 993, 994, 9_960, 9_994, 99_960} {
			t.Run(fmt.Sprint(name, len(likeStored)+n), func(t *testing.T) {
				c := newCompression(t, set)
				v := likeStored + string(randomValue(n, 1))
				assert.Equal(t, 1, checkRequest(t, c, requestOf(t, "SET", "key", v), []int{2}))
				assert.Equal(t, 2, checkRequest(t, c, requestOf(t, "MSET", "key", v, "b", "plain", "c", v), []int{2, 6}))
			})
		}
	}
}

func TestStoredFormsThatAreWrittenComeBackAsWritten(t *testing.T) {
	plain := jsonValue(3000, 1)
	for name, set := range bothAlgorithms {
		for a := range compress.Algorithm(compress.Algorithms) {
			for _, v := range [][]byte{{}, {'x'}, plain, storedForm(a, plain)} {
				t.Run(fmt.Sprint(name, a, len(v)), func(t *testing.T) {
					c := newCompression(t, set)
					r := requestOf(t, []byte("SET"), []byte("key"), storedForm(a, v))
					assert.Equal(t, 1, checkRequest(t, c, r, []int{2}))
				})
			}
		}
	}
}

// Many small arguments that all get longer need the room that was computed.
func TestManyEscapedValuesFitIntoTheRoom(t *testing.T) {
	for name, set := range bothAlgorithms {
		for _, n := range []int{50, 1000, 5000} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				args := []string{"HSET", "key"}
				var values []int
				for i := range n {
					values = append(values, len(args)+1)
					args = append(args, fmt.Sprint("f", i), likeStored+strings.Repeat("x", i%7))
				}
				c := newCompression(t, set)
				assert.Equal(t, n, checkRequest(t, c, requestOf(t, args...), values))
			})
		}
	}
}

func TestWhyValuesAreNotCompressed(t *testing.T) {
	set := bothAlgorithms["zstd"]
	set.Threshold, set.Limits = 1000, compress.Limits{Size: 50_000, Ratio: 20}
	short := make([]byte, 600) // without a pattern of its own, and with few values of a byte
	r := rand.New(rand.NewPCG(1, 1))
	for i := range short {
		short[i] = byte(r.Uint32())
	}
	for _, tt := range []struct {
		name      string
		threshold int
		value     []byte
		skip      Skip
	}{
		{"below the threshold", 1000, jsonValue(999, 1), Small},
		{"empty", 1000, nil, Small},
		{"above the largest size", 1000, jsonValue(50_001, 1), Oversized},
		{"above the largest size, like stored", 1000, append([]byte(likeStored), jsonValue(50_000, 1)...), Oversized},
		{"random", 1000, randomValue(20_000, 1), Incompressible},
		{"gzip", 1000, testvalues.Gzip(r, 20_000), Incompressible},
		{"random and short", 100, short, NotSmaller},
		{"above the largest ratio", 1000, make([]byte, 40_000), Ratio},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := set
			set.Threshold = tt.threshold
			c := newCompression(t, set)
			assert.Zero(t, checkRequest(t, c, requestOf(t, []byte("SET"), []byte("key"), tt.value), nil))
			var want [Skips]uint64
			want[tt.skip] = 1
			assert.Equal(t, want, c.stats.Skipped)
		})
	}
	t.Run("at the bounds it is", func(t *testing.T) {
		c := newCompression(t, set)
		for _, n := range []int{1000, 50_000} {
			assert.Equal(t, 1, checkRequest(t, c, requestOf(t, []byte("SET"), []byte("key"), jsonValue(n, 1)), []int{2}))
		}
		assert.Zero(t, c.stats.Skipped)
	})
}

func TestCompressionThatIsOffOnlyReads(t *testing.T) {
	c := newCompression(t, Compression{Limits: wide})
	h := c.Hooks()
	assert.Nil(t, h.Request)
	assert.Nil(t, h.Sent)
	assert.NotNil(t, h.Reply)
	on := newCompression(t, bothAlgorithms["snappy"]).Hooks()
	assert.NotNil(t, on.Request)
	assert.Nil(t, on.Sent)
	assert.NotNil(t, on.Reply)
}

// Lists that have become long are not kept, and the scratch frame does not grow.
func TestScratchMemoryIsBounded(t *testing.T) {
	c := newCompression(t, bothAlgorithms["snappy"])
	args := []string{"MSET"}
	for i := range keepScratch {
		args = append(args, fmt.Sprint("k", i), "")
	}
	args[2] = string(jsonValue(maxScratch, 1))
	r := requestOf(t, args...)
	require.Equal(t, Changed, c.request(r))
	require.NotNil(t, r.Memory, "it is too large for the scratch frame")
	r.Memory.Release()
	require.Greater(t, cap(c.args), keepScratch)
	r = requestOf(t, "SET", "key", string(jsonValue(1000, 1)))
	require.Equal(t, Changed, c.request(r))
	require.Nil(t, r.Memory)
	assert.LessOrEqual(t, cap(c.args), keepScratch)
	assert.LessOrEqual(t, cap(c.values), keepScratch)
	assert.Equal(t, maxScratch, cap(c.out))
}

// Memory that was taken for a change is given back when there turns out to be nothing to change.
func TestNoChangeKeepsNoMemory(t *testing.T) {
	set := bothAlgorithms["snappy"]
	set.Limits.Ratio = 10
	c := newCompression(t, set)
	r := requestOf(t, []byte("SET"), []byte("key"), make([]byte, 2*maxScratch))
	values := []int{2}
	_, room, _ := c.coder.choose(&values, r)
	b := c.loop.NewBuf(room)
	b.Release() // the loop hands out next what it got last
	require.Equal(t, Pass, c.request(r))
	assert.EqualValues(t, 1, c.stats.Skipped[Ratio])
	again := c.loop.NewBuf(room)
	assert.Same(t, b, again)
	again.Release()
}

// What is not wanted would pass, and is counted all the same.
func TestWhatIsNotWantedWouldPass(t *testing.T) {
	set := Compression{Enable: true, Threshold: 100, Limits: wide}
	words := []string{"k", "v", "", "IFEQ", "GET", "STORE", "FIELDS", "1", "2", "(P$\x00\r\n", "(", strings.Repeat("x", 99), strings.Repeat("x", 100)}
	rng := rand.New(rand.NewPCG(1, 2))
	passed, loop := 0, testLoop(t)
	for id := range command.Count() {
		info := command.ByID(uint16(id))
		for range 60 {
			args := [][]byte{[]byte(info.Name)}
			for range rng.IntN(8) {
				args = append(args, []byte(words[rng.IntN(len(words))]))
			}
			if !command.CheckArity(info, len(args)) {
				continue
			}
			asked, called := compressionOn(loop, set), compressionOn(loop, set)
			r := requestOf(t, args...)
			r.Info = info // the name of a subcommand is not found
			if asked.wantsRequest(info, r.Frame, r.Args) {
				continue
			}
			passed++
			require.Equal(t, Pass, called.request(r), "%q", args)
			require.Equal(t, called.stats.Skipped, asked.stats.Skipped, "%q", args)
		}
	}
	require.Greater(t, passed, 1000)
}
