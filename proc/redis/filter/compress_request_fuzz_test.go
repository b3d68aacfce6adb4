package filter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testvalues"
	"samaritan/proc/redis/compress"
)

// writer makes commands of the bytes of a fuzzer.
type writer struct{ seed []byte }

func (w *writer) next() byte {
	if len(w.seed) == 0 {
		return 0
	}
	b := w.seed[0]
	w.seed = w.seed[1:]
	return b
}

func (w *writer) take(n int) []byte {
	n = min(n, len(w.seed))
	b := w.seed[:n]
	w.seed = w.seed[n:]
	return b
}

// value makes a value of one of the kinds that matter.
func (w *writer) value() []byte {
	switch kind := w.next() % 8; kind {
	case 0, 1:
		return w.take(int(w.next()))
	case 2:
		return append([]byte(likeStored), w.take(int(w.next()))...)
	case 3:
		return append([]byte("(P$\x01\r\n"), w.take(int(w.next()))...)
	case 4, 5:
		return storedForm(compress.Algorithm(kind-4), w.take(int(w.next())))
	case 6:
		return bytes.Repeat(w.take(1+int(w.next())%16), int(w.next())*8)
	}
	return []byte(likeStored[:int(w.next())%7])
}

// command makes a command and tells which arguments are values.
func (w *writer) command() (args [][]byte, values []int) {
	add := func(words ...string) {
		for _, s := range words {
			args = append(args, []byte(s))
		}
	}
	pairs := func(n int) {
		for range n {
			args = append(args, w.value())
			values = append(values, len(args))
			args = append(args, w.value())
		}
	}
	one := func(words ...string) {
		add(words...)
		values = append(values, len(args))
		args = append(args, w.value())
	}
	n := 1 + int(w.next())%5
	switch w.next() % 8 {
	case 0:
		one("SET", "key")
		add([]string{"NX", "XX", "GET", "KEEPTTL"}[:n-1]...)
	case 1:
		one("SETEX", "key", "100")
	case 2:
		one("hsetnx", "key", "field")
	case 3:
		add("mset")
		pairs(n)
	case 4:
		add("HSET", "key")
		pairs(n)
	case 5:
		add("MSETEX", fmt.Sprint(n))
		pairs(n)
		add("EX", "10")
	case 6:
		add("HSETEX", "key", "FNX", "FIELDS", fmt.Sprint(n))
		pairs(n)
	case 7: // not a write of values
		add("LPUSH", "key")
		args = append(args, w.value(), w.value())
	}
	return args, values
}

// checkRoom has the values of a command compressed into exactly the room that was computed for that.
func checkRoom(t testing.TB, c *compression, r *Request) {
	t.Helper()
	rule := rules[r.Info.ID].values
	if rule == nil {
		return
	}
	values := rule(nil, r)
	_, room, _ := c.coder.choose(&values, r)
	for _, begin := range []int{0, 5} {
		dst := make([]byte, begin, begin+room)
		moved := argsOf(t, r.Frame)
		out, _ := c.coder.rewrite(dst, r.Frame, r.Args, moved, values)
		require.Equal(t, cap(dst), cap(out), "more than the room")
		require.Same(t, &dst[:1][0], &out[0], "more than the room")
		require.Equal(t, argsOf(t, out[begin:]), moved)
	}
}

func FuzzRewrite(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 40 {
		f.Add(testvalues.Random(r, 20+i*10), i%2 == 0, uint16(1+i*3))
	}
	f.Add([]byte{0, 0, 2, 3, 'a', 'b', 'c'}, false, uint16(1))
	f.Add(append([]byte{4, 3}, bytes.Repeat([]byte{2, 0}, 10)...), true, uint16(1000))
	f.Add([]byte{0, 1, 6, 7, 255, 'a', 'b', 'c', 'd', 'e', 'f', 'g'}, true, uint16(10))
	l := testLoop(f)
	f.Fuzz(func(t *testing.T, seed []byte, isZstd bool, threshold uint16) {
		set := bothAlgorithms["snappy"]
		if isZstd {
			set = bothAlgorithms["zstd"]
		}
		set.Threshold = 1 + int(threshold)
		c := compressionOn(l, set)
		args, values := (&writer{seed}).command()
		r := requestOf(t, args...)
		require.NotNil(t, r.Info)
		checkRoom(t, compressionOn(l, set), r)
		checkRequest(t, c, r, values)
	})
}
