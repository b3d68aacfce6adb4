package compress

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// A class makes values of one kind. The same size and seed give the same bytes.
type class struct {
	name string
	make func(n int, seed uint64) []byte
	// compressible tells whether at least one algorithm gets values of this kind smaller.
	compressible bool
}

// classes are the kinds of values that caches hold.
var classes = []class{
	{"json", jsonValue, true},
	{"text", textValue, true},
	{"html", htmlValue, true},
	{"protobuf", protobufValue, true},
	{"floats", floatsValue, true},
	{"base64", base64Value, true}, // from level 6 on
	{"random", randomValue, false},
	{"gzip", gzipValue, false},
	{"deflate", deflateValue, false},
	{"zstd", zstdValue, false},
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// words are drawn with a probability that falls with the rank, as in a language.
var words = strings.Fields(`the of and to in is that for it as was with be by on not he his but at are this have
	from or had an they which one you were all her she there would their we him been has when who will more no if
	out so said what up its about into than them can only other new some could time these two may then do first any
	my now such like our over man me even most made after also did many before must through back years where much
	your way well down should because each just those people how too little state good very make world still own see
	men work long get here between both life being under never day same another know while last might us great old
	year off come since against go came right used take three`)

func word(r *rand.Rand) string {
	return words[int(float64(len(words))*math.Pow(r.Float64(), 2.5))]
}

func sentence(r *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(word(r))
		b.WriteByte(' ')
	}
	return strings.TrimSuffix(b.String(), " ")
}

// fill calls add until there are n bytes and cuts what is too much.
func fill(n int, add func(*bytes.Buffer)) []byte {
	var b bytes.Buffer
	for b.Len() < n {
		add(&b)
	}
	return b.Bytes()[:n]
}

func jsonValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) {
		fmt.Fprintf(b, `{"id":%d,"user":"u%08x","name":"%s %s","active":%t,"score":%.4f,"tags":["%s","%s"],"created_at":"2024-%02d-%02dT%02d:%02d:%02dZ","note":"%s"},`,
			r.IntN(1e9), r.Uint32(), word(r), word(r), r.IntN(2) == 0, r.Float64()*100, word(r), word(r),
			1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), sentence(r, 5))
	})
}

func textValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) { b.WriteString(sentence(r, 5+r.IntN(15)) + ". ") })
}

func htmlValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) {
		fmt.Fprintf(b, "<li class=\"item item-%s\"><a href=\"/p/%d\">%s</a><span class=\"price\">%d.%02d</span></li>\n",
			word(r), r.IntN(100000), sentence(r, 4), r.IntN(1000), r.IntN(100))
	})
}

// protobufValue writes messages with varints, a fixed64 and short strings.
func protobufValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) {
		var m []byte
		m = binary.AppendUvarint(append(m, 1<<3), uint64(r.IntN(1e6)))
		m = binary.AppendUvarint(append(m, 2<<3), uint64(1_700_000_000+r.IntN(1e6)))
		m = binary.LittleEndian.AppendUint64(append(m, 3<<3|1), math.Float64bits(r.Float64()))
		name := sentence(r, 2)
		m = append(append(m, 4<<3|2, byte(len(name))), name...)
		m = append(m, 5<<3, byte(r.IntN(2)))
		b.Write(append([]byte{1<<3 | 2, byte(len(m))}, m...))
	})
}

// floatsValue is a vector of float32, as embeddings are stored.
func floatsValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) {
		b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(r.NormFloat64()*0.05))))
	})
}

func randomValue(n int, seed uint64) []byte {
	r := source(seed)
	return fill(n, func(b *bytes.Buffer) { b.Write(binary.LittleEndian.AppendUint64(nil, r.Uint64())) })
}

func base64Value(n int, seed uint64) []byte {
	return []byte(base64.StdEncoding.EncodeToString(randomValue(n, seed)))[:n]
}

// gzipValue is the beginning of a gzip file of text.
func gzipValue(n int, seed uint64) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for i := uint64(0); b.Len() < n; i++ {
		_, _ = w.Write(jsonValue(4*n+1024, seed+i))
		_ = w.Flush()
	}
	return b.Bytes()[:n]
}

// deflateValue is compressed too, without a header to know it by.
func deflateValue(n int, seed uint64) []byte { return gzipValue(n+300, seed)[300:] }

// zstdValue is the middle of a Zstandard frame, without its header.
func zstdValue(n int, seed uint64) []byte {
	var c Codec
	b := c.Append(nil, Zstd, 3, jsonValue(8*n+4096, seed))
	return b[300 : 300+n]
}

// sizeName says 16 KiB the way that benchmarks are named.
func sizeName(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%dMiB", n>>20)
	}
	return fmt.Sprintf("%dKiB", n>>10)
}
