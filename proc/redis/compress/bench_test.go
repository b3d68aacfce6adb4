package compress

import (
	"fmt"
	"testing"
)

var benchSizes = []int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}

// forEverySize runs bench with JSON of every size, at the default level.
func forEverySize(b *testing.B, bench func(b *testing.B, c *Codec, a Algorithm, plain, stored []byte)) {
	for a := range Algorithm(Algorithms) {
		for _, n := range benchSizes {
			var c Codec
			plain := jsonValue(n, 1)
			stored := c.Append(nil, a, 0, plain)
			b.Run(fmt.Sprintf("%s/%s", a, sizeName(n)), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				bench(b, &c, a, plain, stored)
				b.ReportMetric(float64(n)/float64(len(stored)), "ratio")
			})
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	forEverySize(b, func(b *testing.B, c *Codec, a Algorithm, plain, _ []byte) {
		dst := make([]byte, 0, Bound(a, len(plain)))
		for b.Loop() {
			c.Append(dst, a, 0, plain)
		}
	})
}

func BenchmarkAppendDecoded(b *testing.B) {
	forEverySize(b, func(b *testing.B, c *Codec, _ Algorithm, plain, stored []byte) {
		dst := make([]byte, 0, len(plain))
		for b.Loop() {
			n, err := DecodedLen(stored, wide)
			if err != nil {
				b.Fatal(err)
			}
			if _, err = c.AppendDecoded(dst, stored, n); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodedLen(b *testing.B) {
	forEverySize(b, func(b *testing.B, _ *Codec, _ Algorithm, _, stored []byte) {
		for b.Loop() {
			_, _ = DecodedLen(stored, wide)
		}
	})
}

// BenchmarkIncompressible is what trying costs, to compare with the guess.
func BenchmarkIncompressible(b *testing.B) {
	for _, kind := range classes {
		if kind.name != "random" && kind.name != "base64" {
			continue
		}
		for a := range Algorithm(Algorithms) {
			for _, n := range benchSizes[:4] {
				var c Codec
				plain := kind.make(n, 1)
				dst := make([]byte, 0, Bound(a, n))
				b.Run(fmt.Sprintf("%s/%s/%s", kind.name, a, sizeName(n)), func(b *testing.B) {
					for b.Loop() {
						c.Append(dst, a, 0, plain)
					}
				})
			}
		}
	}
}

func BenchmarkCompressible(b *testing.B) {
	for _, kind := range classes {
		for _, n := range []int{minSampled, 16 << 10, 1 << 20} {
			plain := kind.make(n, 1)
			b.Run(kind.name+"/"+sizeName(n), func(b *testing.B) {
				for b.Loop() {
					Compressible(plain)
				}
			})
		}
	}
}

func BenchmarkDetect(b *testing.B) {
	plain, n := jsonValue(1024, 1), 0
	for b.Loop() {
		if _, ok := Detect(plain); ok {
			n++
		}
	}
}
