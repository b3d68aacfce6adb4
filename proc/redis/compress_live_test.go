package redis

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

// Whatever is changed while sessions write and read, each reads what it wrote.
func TestCompressionChangesLive(t *testing.T) {
	cluster := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{loops: 2}, cluster.Addrs()...).ready(t)
	other := startProxy(t, proxyOptions{}, cluster.Addrs()...).ready(t)
	level := func(a compress.Algorithm, level, threshold uint32) *redis.Compression {
		return &redis.Compression{Enable: true, Algorithm: redis.Compression_Algorithm(a), Threshold: threshold, Level: level}
	}
	configs := []*redis.Compression{
		compressing(compress.Snappy), nil, compressing(compress.Zstd), compressing(compress.Snappy), level(compress.Zstd, 3, 1), level(compress.Zstd, 6, 5000),
		{Threshold: 1},
		level(compress.Snappy, 0, 1), level(compress.Zstd, 1, 500), nil,
	}
	var all []*keeper
	for i := range 6 {
		name := fmt.Sprint("session", i)
		var keys []string
		for j := range 6 {
			keys = append(keys, key(uint16(i*2000+j*700), name))
		}
		k := newKeeper(t, p.Addr, name, uint64(i), keys...)
		k.texts, k.large = true, i == 0
		all = append(all, k)
	}
	sessions := startKeepers(t, all)
	for i := range 4 * len(configs) {
		sessions.more(t, 10)
		p.change(t, func(o *protocol.RedisOption) {
			o.Compression = configs[i%len(configs)]
			o.HotKeys = &redis.HotKeys{Enable: proto.Bool(i%3 != 0)}
		})
		if t.Failed() {
			break
		}
	}
	sessions.check(t, other.Addr)
	got := p.compressionStats()
	for _, name := range []string{"snappy.compressed_total", "zstd.compressed_total", "snappy.decompressed_total", "zstd.decompressed_total", "offloaded_total"} {
		assert.Positive(t, got[name], name)
	}
	assert.Zero(t, got["corrupt_total"]+got["too_large_total"]+got["disabled_total"])
}

// A reply that is worked on beside the loop goes on with the filters that it began with: by those that there are since, it would
// be seen once more, and a value that is itself a stored form would come back decompressed.
func TestAReplyUnderWayKeepsItsFilters(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	on := connect(t, r.on.Addr)
	hotKeys := func(enable bool) {
		r.on.change(t, func(o *protocol.RedisOption) { o.HotKeys = &redis.HotKeys{Enable: proto.Bool(enable)} })
	}
	hotKeys(false)
	value := storedForm(compress.Snappy, jsonText(3<<20))
	must(t, on, "SET", "k", value)
	before := r.on.counter(offloaded)
	release := busy(t)
	require.NoError(t, on.Send(cmd("GET", "k")))
	r.on.worked(t, before+1)
	hotKeys(true)
	release()
	same(t, value, receive(t, on, 1)[0])
}
