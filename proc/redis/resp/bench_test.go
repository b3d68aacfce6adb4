package resp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The frames that the hot paths are measured with.
var (
	value64   = strings.Repeat("v", 64)
	reqGet    = AppendCommand(nil, "GET", "key:000000012345")
	reqSet    = AppendCommand(nil, "SET", "key:000000012345", value64)
	reqMGet10 = AppendCommand(nil, append([]string{"MGET"}, strings.Fields(strings.Repeat("key:000000012345 ", 10))...)...)
	reqBig    = AppendCommand(nil, "SET", "key:000000012345", strings.Repeat("v", 16<<10))
	reqInline = []byte("SET key:000000012345 \"a \\x41 value\"\r\n")

	replyBulk  = AppendBulkString(nil, value64)
	replyMoved = AppendError(nil, "MOVED 12345 10.0.0.1:7000")
	replyMGet  = func() []byte {
		b := AppendArrayHeader(nil, 10)
		for range 10 {
			b = AppendBulkString(b, value64)
		}
		return b
	}()
	replySlots = func() []byte { // nested, as CLUSTER SLOTS
		b := AppendArrayHeader(nil, 3)
		for range 3 {
			b = AppendArrayHeader(b, 3)
			b = AppendInt(b, 0)
			b = AppendInt(b, 5460)
			b = AppendArrayHeader(b, 3)
			b = AppendBulkString(b, "10.0.0.1")
			b = AppendInt(b, 7000)
			b = AppendBulkString(b, strings.Repeat("a", 40))
		}
		return b
	}()
)

var requestFrames = []struct {
	name  string
	frame []byte
}{
	{"GET", reqGet},
	{"SET64", reqSet},
	{"MGET10", reqMGet10},
	{"SET16K", reqBig},
	{"inline", reqInline},
}

var replyFrames = []struct {
	name  string
	frame []byte
}{
	{"OK", []byte("+OK\r\n")},
	{"int", []byte(":1234\r\n")},
	{"bulk64", replyBulk},
	{"moved", replyMoved},
	{"MGET10", replyMGet},
	{"nested", replySlots},
	{"map", []byte("%2\r\n$1\r\na\r\n:1\r\n+b\r\n,1.5\r\n")},
}

func BenchmarkParser(b *testing.B) {
	for _, bb := range requestFrames {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.frame)))
			var p Parser
			for b.Loop() {
				if n, err := p.Parse(bb.frame); n != len(bb.frame) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParserPipeline(b *testing.B) {
	pipeline := bytes.Repeat(reqSet, 64)
	b.ReportAllocs()
	var p Parser
	for b.Loop() {
		for rest := pipeline; len(rest) > 0; {
			n, err := p.Parse(rest)
			if n <= 0 || err != nil {
				b.Fatal(n, err)
			}
			rest = rest[n:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/frame")
}

func BenchmarkScanner(b *testing.B) {
	for _, bb := range replyFrames {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.frame)))
			var s Scanner
			for b.Loop() {
				if n, err := s.Scan(bb.frame); n != len(bb.frame) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, n, rest, err := Header(replyMGet)
		for range n {
			_, rest, err = Next(rest)
		}
		if err != nil || len(rest) != 0 {
			b.Fatal(rest, err)
		}
	}
}

func BenchmarkAppendCommand(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 1024)
	for b.Loop() {
		buf = AppendCommand(buf[:0], "SET", "key:000000012345", value64)
	}
	require.Equal(b, reqSet, buf)
}
