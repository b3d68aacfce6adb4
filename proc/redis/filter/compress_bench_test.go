package filter

import (
	"math/rand/v2"
	"strings"
	"testing"

	"samaritan/internal/testvalues"
)

func run(b *testing.B, bytes int, do func()) {
	b.Helper()
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

// BenchmarkRequestBelowThreshold is what compression adds to a request that it leaves alone.
func BenchmarkRequestBelowThreshold(b *testing.B) {
	set := bothAlgorithms["snappy"]
	set.Threshold = 4096
	value := string(jsonValue(64, 1))
	pairs := []string{"MSET"}
	for range 100 {
		pairs = append(pairs, "key", value)
	}
	for _, args := range [][]string{{"GET", "key"}, {"SET", "key", value}, pairs} {
		b.Run(args[0], func(b *testing.B) {
			run(b, 0, requests(b, newCompression(b, set), Pass, args...))
		})
	}
}

// BenchmarkReplyWithoutStored is what compression adds to a reply without stored values.
func BenchmarkReplyWithoutStored(b *testing.B) {
	small := bulk(strings.Repeat("x", 64))
	text := testvalues.Text(rand.New(rand.NewPCG(1, 1)), 16<<10)
	for i := 40; i < len(text); i += 200 {
		text[i] = '('
	}
	for _, tt := range []struct{ what, name, reply string }{
		{"ok", "SET", "+OK\r\n"},
		{"bulk64", "GET", small},
		{"array100x64", "MGET", "*100\r\n" + strings.Repeat(small, 100)},
		{"text16K", "MGET", "*1\r\n" + bulk(strings.ReplaceAll(string(text), "(", "x"))},
		{"text16KWithBrackets", "MGET", "*1\r\n" + bulk(text)},
		{"json10x16K", "MGET", "*10\r\n" + strings.Repeat(bulk(jsonValue(16<<10, 1)), 10)},
	} {
		b.Run(tt.what, func(b *testing.B) {
			run(b, len(tt.reply), replies(b, newCompression(b, bothAlgorithms["snappy"]), Pass, tt.name, tt.reply))
		})
	}
}

// BenchmarkSet16K is a SET of JSON.
func BenchmarkSet16K(b *testing.B) {
	value := string(jsonValue(16<<10, 1))
	for name, set := range bothAlgorithms {
		b.Run(name, func(b *testing.B) {
			run(b, len(value), requests(b, newCompression(b, set), Changed, "SET", "key", value))
		})
	}
}

// BenchmarkGet16K is the reply to a GET of JSON.
func BenchmarkGet16K(b *testing.B) {
	value := jsonValue(16<<10, 1)
	for name, set := range bothAlgorithms {
		b.Run(name, func(b *testing.B) {
			run(b, len(value), replies(b, newCompression(b, set), Changed, "GET", bulk(storedForm(set.Algorithm, value))))
		})
	}
}
