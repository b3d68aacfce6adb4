package filter

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// atOnce has a request changed while the loop waits, however large it is.
func atOnce(t testing.TB, c *compression, r *Request) {
	t.Helper()
	c.values = rules[r.Info.ID].values(c.values[:0], r)
	_, room, _ := c.coder.choose(&c.values, r)
	c.compress(r, room)
}

// workOn makes the work for a request, however small it is.
func workOn(t testing.TB, c *compression, r *Request) *compressWork {
	t.Helper()
	c.values = rules[r.Info.ID].values(c.values[:0], r)
	_, room, _ := c.coder.choose(&c.values, r)
	return c.newCompressWork(r, room, 0)
}

// mixedArgs is a command with values of all kinds, n bytes each.
func mixedArgs(n int) []string {
	return []string{
		"MSET", "a", string(jsonValue(n, 1)), "b", "small", "c", string(randomValue(n, 1)),
		"d", likeStored + string(jsonValue(n, 2)), "e", string(make([]byte, n)), "f", "",
	}
}

func TestWorkBesideTheLoopGivesTheSameRequest(t *testing.T) {
	for name, set := range bothAlgorithms {
		for _, n := range []int{100, 5000, 100_000, 700_000} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				c, d := newCompression(t, set), newCompression(t, set)
				want := requestOf(t, mixedArgs(n)...)
				atOnce(t, c, want)
				require.NotEmpty(t, c.stats.Compressed[set.Algorithm].Values)

				got := requestOf(t, mixedArgs(n)...)
				w := workOn(t, d, got)
				checkRequest(t, d, requestOf(t, mixedArgs(50)...), []int{2, 4, 6, 8, 10, 12}) // has scratch of the filter used
				was := d.stats
				done := make(chan struct{})
				go func() {
					defer close(done)
					w.Do(bytes.Clone(got.Frame)) // the frame may have moved
				}()
				<-done
				assert.Equal(t, was, d.stats, "nothing is counted beside the loop")
				got.Work = w
				got.Finish()

				require.True(t, bytes.Equal(want.Frame, got.Frame))
				assert.Equal(t, want.Args, got.Args)
				assert.Equal(t, argsOf(t, got.Frame), got.Args)
				assert.True(t, got.changed)
				assert.True(t, got.Memory.Sole())
				assert.Equal(t, c.stats.Compressed[set.Algorithm].After, d.stats.Compressed[set.Algorithm].After-was.Compressed[set.Algorithm].After)
				got.Memory.Release()
				release(want.Memory)
			})
		}
	}
}

func TestWorkThatMakesNothingSmallerGivesItsMemoryBack(t *testing.T) {
	set := bothAlgorithms["zstd"]
	set.Limits.Ratio = 10
	c := newCompression(t, set)
	r := requestOf(t, []byte("SET"), []byte("key"), make([]byte, 600_000))
	require.Equal(t, Later, c.request(r))
	frame := bytes.Clone(r.Frame)
	w := r.Work.(*compressWork)
	w.out.Retain()
	w.Do(r.Frame)
	r.Finish()
	assert.True(t, w.out.Sole(), "only the test still has it")
	assert.Nil(t, r.Memory)
	assert.True(t, bytes.Equal(frame, r.Frame))
	assert.Equal(t, Pass, r.verdict())
	assert.EqualValues(t, 1, c.stats.Skipped[Ratio])
}

func TestHowMuchIsWorkedOnBesideTheLoop(t *testing.T) {
	for _, tt := range []struct {
		algorithm compress.Algorithm
		level     int
		effort    int
	}{
		{compress.Snappy, 0, 1},
		{compress.Snappy, 22, 1},
		{compress.Zstd, 0, 3},
		{compress.Zstd, 1, 3},
		{compress.Zstd, 2, 3},
		{compress.Zstd, 3, 6},
		{compress.Zstd, 5, 6},
		{compress.Zstd, 6, 20},
		{compress.Zstd, 22, 20},
	} {
		t.Run(fmt.Sprint(tt.algorithm, tt.level), func(t *testing.T) {
			c := newCompression(t, Compression{Enable: true, Algorithm: tt.algorithm, Level: tt.level, Threshold: 1, Limits: wide})
			require.Equal(t, tt.effort, c.set.effort())
			from := (laterFrom - valueCost*tt.effort) * copyShare / (copyShare*tt.effort + 1) // with what the frame has beside the value
			r := requestOf(t, []byte("SET"), []byte("key"), jsonValue(from+100, 1))
			require.Equal(t, Later, c.request(r))
			b, _ := r.Work.Finish()
			release(b)
			if tt.level >= 6 {
				return // its coder takes much memory
			}
			r = requestOf(t, []byte("SET"), []byte("key"), jsonValue(from-100, 1))
			require.Equal(t, Changed, c.request(r))
			release(r.Memory)
			assert.EqualValues(t, 1, c.stats.Offloaded)
		})
	}
}

// mixedReply is a reply with values of n bytes, and what a client gets.
func mixedReply(a compress.Algorithm, n int) (reply, want []byte) {
	one, two := jsonValue(n, 1), make([]byte, n)
	broken := storedForm(a, jsonValue(n, 3))
	broken[len(broken)-2] ^= 1
	pieces := []string{"*5\r\n", bulk(storedForm(a, one)), "$-1\r\n", bulk(broken), bulk("plain"), bulk(storedForm(a, two))}
	reply = []byte(pieces[0] + pieces[1] + pieces[2] + pieces[3] + pieces[4] + pieces[5])
	return reply, []byte(pieces[0] + bulk(one) + pieces[2] + pieces[3] + pieces[4] + bulk(two))
}

func TestWorkBesideTheLoopGivesTheSameReply(t *testing.T) {
	for a := range compress.Algorithm(compress.Algorithms) {
		for _, n := range []int{100_000, 700_000} {
			t.Run(fmt.Sprint(a, n), func(t *testing.T) {
				reply, want := mixedReply(a, n)
				c := newCompression(t, Compression{Limits: compress.Limits{Size: 512 << 20, Ratio: 100_000}})
				r := replyTo("MGET", reply)
				verdict := c.reply(r)
				require.Equal(t, n > laterFrom/2, verdict == Later)
				if verdict == Later {
					w := r.Work.(*decompressWork)
					require.Empty(t, c.broken)
					w.Begin()
					done := make(chan struct{})
					go func() {
						defer close(done)
						w.Do(bytes.Clone(reply)) // it may have moved
					}()
					<-done
					assert.Equal(t, CompressStats{Offloaded: 1}, c.stats, "nothing is counted beside the loop")
					assert.Empty(t, c.broken, "nor told")
					r.Finish()
					assert.EqualValues(t, 1, c.stats.Offloaded)
				}
				require.True(t, bytes.Equal(want, r.Bytes))
				assert.True(t, r.Memory.Sole())
				r.Memory.Release()
				assert.EqualValues(t, 1, c.stats.Corrupt)
				require.Len(t, c.broken, 1)
				assert.ErrorIs(t, c.broken[0], compress.ErrCorrupt)
				assert.EqualValues(t, 2, c.stats.Decompressed[a].Values)
			})
		}
	}
}

// The hook for broken values gets the reply that it is about, also when work on others was begun since.
func TestBrokenValuesAreToldWithTheirReply(t *testing.T) {
	var told []int
	c := NewCompress(testLoop(t), Compression{Limits: compress.Limits{Size: 512 << 20, Ratio: 100_000}}, new(CompressStats),
		func(r *Reply, _ error) { told = append(told, r.Slot) })
	reply, _ := mixedReply(compress.Zstd, 700_000)
	r := replyTo("MGET", reply)
	r.Slot = 1
	require.Equal(t, Later, c.reply(r))
	w := r.Work
	r.Slot, r.Work = 2, nil // the caller uses it for the next reply
	w.Begin()
	w.Do(reply)
	b, args := w.Finish()
	assert.Nil(t, args)
	b.Release()
	assert.Equal(t, []int{1}, told)
}

// Every loop has a filter, and the work of each is done on other goroutines.
func TestFiltersOfManyLoopsWorkAtOnce(t *testing.T) {
	set := bothAlgorithms["zstd"]
	set.Limits.Ratio = 100_000
	large := jsonValue(150_000, 1)
	args := mixedArgs(3000)
	reply, want := mixedReply(compress.Snappy, 3000)
	var group sync.WaitGroup
	for range 4 {
		l, err := eventloop.New()
		require.NoError(t, err)
		defer l.Close()
		group.Go(func() {
			c := compressionOn(l, set)
			for range 10 {
				r := requestOf(t, []byte("SET"), []byte("key"), large)
				assert.Equal(t, Later, c.request(r))
				var works sync.WaitGroup
				works.Go(func() { r.Work.Do(r.Frame) })
				w := workOn(t, c, requestOf(t, args...))
				works.Go(func() { w.Do(resp.AppendCommand(nil, args...)) })
				checkRequest(t, c, requestOf(t, args...), []int{2, 4, 6, 8, 10, 12})
				checkReply(t, c, "MGET", reply, want)
				works.Wait()
				r.Finish()
				r.Memory.Release()
				b, _ := w.Finish()
				b.Release()
			}
			assert.EqualValues(t, 10, c.stats.Offloaded)
			assert.EqualValues(t, 10, c.stats.Corrupt)
		})
	}
	group.Wait()
}
