package redis

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/stats"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

// compressFrom is the threshold of these tests, in bytes.
const compressFrom = 256

// compressing is a config that compresses; with its Enable false it only decompresses.
func compressing(a compress.Algorithm) *redis.Compression {
	return &redis.Compression{Enable: true, Algorithm: redis.Compression_Algorithm(a), Threshold: compressFrom}
}

// change changes the options of the service and waits until the workers have them.
func (p *testProxy) change(t testing.TB, alter func(*protocol.RedisOption)) *testProxy {
	t.Helper()
	old := p.svc.Load()
	c := proto.Clone(old.Config).(*service.Config)
	alter(c.GetRedisOption())
	svc, err := config.NewService("test", c, old.Endpoints)
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	p.onWorkers(func(*worker) {})
	return p
}

// setCompression changes what the service compresses, and nothing else.
func (p *testProxy) setCompression(t testing.TB, c *redis.Compression) *testProxy {
	t.Helper()
	return p.change(t, func(o *protocol.RedisOption) { o.Compression = c })
}

// compressRig is a cluster behind two proxies: one that compresses, and one that does not.
type compressRig struct {
	on, off *testProxy
	cluster *testredis.Cluster
	nodes   []*testredis.Node // the masters, in the order of their slots
}

func startCompressing(t testing.TB, c *redis.Compression) *compressRig {
	t.Helper()
	cluster := testredis.Shared(t, testredis.Options{})
	return &compressRig{
		on:      startProxy(t, proxyOptions{}, cluster.Addrs()...).ready(t).setCompression(t, c),
		off:     startProxy(t, proxyOptions{}, cluster.Addrs()...).ready(t),
		cluster: cluster, nodes: cluster.Nodes(),
	}
}

// node is where a key is, as long as no slot has moved.
func (r *compressRig) node(key string) *testredis.Node {
	n := len(r.nodes)
	i := 0
	for slot := int(testredis.Slot(key)); slot >= (i+1)*16384/n; {
		i++
	}
	return r.nodes[i]
}

// raw asks the node of a key directly, for what it has.
func (r *compressRig) raw(t testing.TB, command, key string, more ...any) any {
	t.Helper()
	return r.node(key).MustDo(t, append(cmd(command, key), more...)...)
}

// storedForm is a value as the proxy stores it, compressed.
func storedForm(a compress.Algorithm, v string) string {
	return string(new(compress.Codec).Append(nil, a, 1, []byte(v)))
}

// streamHeads is what stored values begin with: the header, and the first bytes of the stream
// as its format has them.
var streamHeads = [compress.Algorithms]string{
	compress.Snappy: "(P$\x00\r\n\xff\x06\x00\x00sNaPpY",
	compress.Zstd:   "(P$\x01\r\n\x28\xb5\x2f\xfd",
}

// plainForm reads a stored value with the readers of a library.
func plainForm(t testing.TB, a compress.Algorithm, stored string) string {
	t.Helper()
	require.GreaterOrEqual(t, len(stored), compress.HeaderLen)
	stream := strings.NewReader(stored[compress.HeaderLen:])
	var r io.Reader = snappy.NewReader(stream)
	if a == compress.Zstd {
		d, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1))
		require.NoError(t, err)
		defer d.Close()
		r = d
	}
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(plain)
}

// checkStored tells whether raw is what is stored of a value: itself, or a compressed form.
func checkStored(t testing.TB, a compress.Algorithm, s sample, raw any, what string) {
	t.Helper()
	got, ok := raw.(string)
	require.True(t, ok, "%s: %v", what, raw)
	if !s.compressed {
		assert.True(t, got == s.value, "%s %s: stored as %.60q, not as it is", what, s.name, got)
		return
	}
	if assert.True(t, strings.HasPrefix(got, streamHeads[a]), "%s %s: stored as %.60q", what, s.name, got) {
		assert.True(t, plainForm(t, a, got) == s.value, "%s %s: the stream has another value", what, s.name)
		_, like := compress.Detect([]byte(s.value))
		assert.True(t, like || len(got) < len(s.value), "%s %s: %d bytes stored of %d", what, s.name, len(got), len(s.value))
	}
}

// sample is a value to be stored.
type sample struct {
	name, value string
	compressed  bool // it is stored in another form
}

// samples are values of all kinds, small enough to be used in every way.
func samples() []sample {
	all := []sample{
		{"empty", "", false},
		{"one byte", "x", false},
		{"below the threshold", jsonText(compressFrom - 1), false},
		{"at the threshold", jsonText(compressFrom), true},
		{"json 1 KiB", jsonText(1 << 10), true},
		{"json 16 KiB", jsonText(16 << 10), true},
		{"json of several chunks", jsonText(70_000), true},
		{"random 1000", randomText(1000), false},
		{"random 10000", randomText(10_000), false},
		{"lines", strings.Repeat("\r\n$5\r\n(P$\x00\r\n\r\n", 100), true},
		{"mark", "(P$", false},
		{"mark and a letter", "(P$a", false},
		{"unknown algorithm", "(P$\x09\r\nxyz", false},
		{"no line end", "(P$\x00\n\nxyz", false},
	}
	for a := range compress.Algorithm(compress.Algorithms) {
		header := fmt.Sprintf("(P$%c\r\n", a)
		stored := storedForm(a, jsonText(2000))
		all = append(all,
			sample{a.String() + " header", header, true},
			sample{a.String() + " header and text", header + "xyz", true},
			sample{a.String() + " stored form", stored, true},
			sample{a.String() + " stored form of that", storedForm(a, stored), true},
			sample{a.String() + " stored form of a byte", storedForm(a, "x"), true},
			sample{a.String() + " stored form cut off", stored[:len(stored)/2], true},
		)
	}
	return all
}

// jsonText is the first n bytes of a long list of records.
func jsonText(n int) string { return records()[:n] }

var records = sync.OnceValue(func() string {
	var b strings.Builder
	for i := uint64(1); b.Len() < 6<<20; i++ {
		x := i * 0x9e3779b97f4a7c15
		fmt.Fprintf(&b, `{"id":%d,"user":"user-%d","score":%d.%d,"active":%v,"tags":["alpha","beta-%d"]},`,
			i, x>>52, x>>57, x>>40&1023, x>>63 == 0, x>>61)
	}
	return b.String()
})

// randomText is n bytes that nothing makes smaller.
func randomText(n int) string {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rng.Read(b)
	return string(b)
}

// busy takes all that works beside the loops away from the proxies, until release is called
// or the test ends.
func busy(t testing.TB) (release func()) {
	t.Helper()
	for _, turns := range []chan struct{}{shortWork, longWork} {
		for range cap(turns) {
			turns <- struct{}{}
		}
	}
	release = sync.OnceFunc(func() {
		for _, turns := range []chan struct{}{shortWork, longWork} {
			for range cap(turns) {
				<-turns
			}
		}
	})
	t.Cleanup(release)
	return release
}

// same asserts that texts are equal, and prints little of them when they are not.
func same(t testing.TB, want string, got any, what ...any) bool {
	t.Helper()
	if s, ok := got.(string); ok && s == want {
		return true
	}
	return assert.Fail(t, "another value", "%v: %.100q, not %d bytes, %.100q", what, fmt.Sprint(got), len(want), want)
}

// compressionStats are the counters of compression that are not 0, without the prefix and
// without the ratios, which are no counters.
func (p *testProxy) compressionStats() map[string]int {
	all := map[string]int{}
	p.Stats(func(s stats.Sample) {
		name, ok := strings.CutPrefix(s.Name, "compression.")
		if ok && s.Value != 0 && !strings.HasSuffix(name, ".ratio") {
			all[name] += int(s.Value)
		}
	})
	return all
}

// eachAlgorithm runs a test once for each.
func eachAlgorithm(t *testing.T, test func(t *testing.T, a compress.Algorithm)) {
	for a := range compress.Algorithm(compress.Algorithms) {
		t.Run(a.String(), func(t *testing.T) { test(t, a) })
	}
}

// eachProtocol runs a test with connections of both protocol versions.
func eachProtocol(t *testing.T, r *compressRig, test func(t *testing.T, on, off *testredis.Conn)) {
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", version), func(t *testing.T) {
			on, off := connect(t, r.on.Addr), connect(t, r.off.Addr)
			must(t, on, "HELLO", version)
			must(t, off, "HELLO", version)
			test(t, on, off)
		})
	}
}
