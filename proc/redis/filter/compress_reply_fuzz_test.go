package filter

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// refDecode decompresses a sequence of elements the slow way: piece by piece, with what the codec
// says of each.
func refDecode(t testing.TB, dst, b []byte, lim compress.Limits) (_ []byte, decoded int) {
	t.Helper()
	for len(b) > 0 {
		typ, n, body, err := resp.Header(b)
		require.NoError(t, err)
		length := bytes.IndexByte(b, '\n') + 1
		isBulk := body != nil && (typ == '$' || typ == '!' || typ == '=')
		if isBulk {
			length += int(n) + 2
		}
		if isBulk && typ == '$' {
			v := readBack(body, lim)
			if len(v) == 0 || len(body) == 0 || &v[0] != &body[0] {
				decoded++
			}
			if len(body) == 0 {
				decoded--
			}
			dst = resp.AppendBulk(dst, v)
		} else {
			dst = append(dst, b[:length]...)
		}
		b = b[length:]
	}
	return dst, decoded
}

// tree makes a reply of the bytes of a fuzzer, with stored values in it.
func (w *writer) tree(dst []byte, depth int) []byte {
	op := w.next() % 26
	if depth > 20 {
		op %= 16
	}
	switch op {
	case 0:
		return resp.AppendInt(dst, int64(w.next())-100)
	case 1, 2, 3, 4, 5, 6:
		return resp.AppendBulk(dst, w.value())
	case 7:
		return resp.AppendBulk(dst, w.broken())
	case 8:
		return resp.AppendVerbatim(dst, "(P$", string(w.value()), true)
	case 9:
		v := w.value()
		return append(append(append(dst, fmt.Sprintf("!%d\r\n", len(v))...), v...), "\r\n"...)
	case 10:
		return append(dst, []string{"$-1\r\n", "*-1\r\n", "_\r\n"}[w.next()%3]...)
	case 11:
		return resp.AppendDouble(dst, float64(w.next())/8, true)
	case 12:
		return append(dst, []string{"#t\r\n", "(123\r\n", "(-1\r\n", "+(P$\r\n", "-ERR (P$\r\n", ",nan\r\n"}[w.next()%6]...)
	case 13: // brackets that are none of ours
		return resp.AppendBulk(dst, bytes.Repeat([]byte("(x\n(P"), int(w.next())%40))
	case 14:
		return resp.AppendSimple(dst, "OK")
	case 15:
		return resp.AppendArrayHeader(dst, 0)
	case 16, 17: // attributes stand in front of an element
		dst = append(dst, "|1\r\n"...)
		return w.trees(dst, 3, depth)
	case 18, 19:
		n := int(w.next()) % 4
		return w.trees(resp.AppendMapHeader(dst, n, true), 2*n, depth)
	case 20:
		n := int(w.next()) % 5
		return w.trees(resp.AppendSetHeader(dst, n, true), n, depth)
	case 21:
		n := int(w.next()) % 3
		return w.trees(resp.AppendPushHeader(dst, n, true), n, depth)
	}
	n := int(w.next()) % 6
	return w.trees(resp.AppendArrayHeader(dst, n), n, depth)
}

func (w *writer) trees(dst []byte, n, depth int) []byte {
	for range n {
		dst = w.tree(dst, depth+1)
	}
	return dst
}

// broken makes a stored value with a flipped bit.
func (w *writer) broken() []byte {
	v := storedForm(compress.Algorithm(w.next()%2), w.take(int(w.next())))
	v[int(w.next())%len(v)] ^= 1 << (w.next() % 8)
	return v
}

// checkAnyReply compares what the filter makes of a reply with the reference.
func checkAnyReply(t testing.TB, l *eventloop.Loop, reply []byte) {
	t.Helper()
	lim := compress.Limits{Size: 1 << 20, Ratio: 1000}
	c := compressionOn(l, Compression{Limits: lim})
	want, decoded := refDecode(t, nil, reply, lim)
	if decoded > 0 {
		require.True(t, mayHaveStored(reply), "%.300q", reply)
	}
	got := checkReply(t, c, "EVAL", reply, want)
	require.EqualValues(t, decoded, c.stats.Decompressed[0].Values+c.stats.Decompressed[1].Values)
	require.False(t, decoded > 0 && got == Pass)
	require.Equal(t, c.stats.Corrupt+c.stats.TooLarge > 0, len(c.broken) > 0)
	require.Equal(t, len(want), scan(t, want))
}

// scan returns the length of the reply at the start of b; 0 when there is no whole one.
func scan(t testing.TB, b []byte) int {
	t.Helper()
	var s resp.Scanner
	n, err := s.Scan(b)
	if err != nil {
		return 0
	}
	return n
}

func FuzzReply(f *testing.F) {
	for i := range 60 {
		f.Add(randomValue(10+i*12, uint64(i)))
	}
	f.Add([]byte{25, 5, 13, 30, 13, 39, 1, 4, 10, 'a', 'b'})
	f.Add([]byte{16, 4, 5, 'x', 1, 5, 3, 'a', 'b', 'c', 25, 1, 1, 4, 3})
	l := testLoop(f)
	f.Fuzz(func(t *testing.T, seed []byte) {
		reply := (&writer{seed}).tree(nil, 0)
		require.Equal(t, len(reply), scan(t, reply), "%.300q", reply)
		checkAnyReply(t, l, reply)
	})
}

func FuzzReplyBytes(f *testing.F) {
	for _, v := range brokenValues() {
		f.Add([]byte(bulk(v)))
		f.Add([]byte("*2\r\n$-1\r\n" + bulk(v)))
	}
	for a := range compress.Algorithm(compress.Algorithms) {
		f.Add([]byte("%1\r\n+k\r\n" + bulk(storedForm(a, jsonValue(100, 1)))))
		f.Add([]byte("|1\r\n+k\r\n" + bulk(storedForm(a, nil)) + "=7\r\n(P$:\x00\r\n\r\n"))
	}
	f.Add([]byte("*1\r\n*1\r\n$6\r\n(P$\x00\r\n\r\n"))
	l := testLoop(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := scan(t, b); n > 0 {
			checkAnyReply(t, l, b[:n])
		}
	})
}
