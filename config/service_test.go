package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/common"
	"samaritan/api/hc"
	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
)

func tcpConfig(port uint32) *service.Config {
	return &service.Config{
		Listener: &service.Listener{Address: &common.Address{Ip: "127.0.0.1", Port: port}},
		Protocol: protocol.Protocol_TCP,
	}
}

func endpoint(ip string, port uint32) *service.Endpoint {
	return &service.Endpoint{Address: &common.Address{Ip: ip, Port: port}}
}

func TestNewServiceFillsAndCopies(t *testing.T) {
	c, e := tcpConfig(80), endpoint("10.0.0.1", 80)
	s, err := NewService("a", c, []*service.Endpoint{e, e})
	require.NoError(t, err)
	assert.Equal(t, 3*time.Second, s.Config.ConnectTimeout.AsDuration())
	assert.Nil(t, c.ConnectTimeout, "the argument stays as it was")
	require.Len(t, s.Endpoints, 1)
	assert.NotSame(t, e, s.Endpoints[0])
	assert.True(t, proto.Equal(e, s.Endpoints[0]))
}

func TestNewServiceMayHaveNoEndpoints(t *testing.T) {
	s, err := NewService("a", tcpConfig(80), nil)
	require.NoError(t, err)
	assert.Empty(t, s.Endpoints)
}

// What a file cannot hold can still come over the wire.
func TestNewServiceRefusesWhatTheWireCanBring(t *testing.T) {
	tests := []struct {
		name   string
		change func(*service.Config)
		want   string
	}{
		{"port", func(c *service.Config) { c.Listener.Address.Port = 65536 }, "config.listener.address.port: must be 0..65535, is 65536"},
		{"no address", func(c *service.Config) { c.Listener.Address = nil }, "config.listener.address: is required"},
		{"protocol", func(c *service.Config) { c.Protocol = 9 }, "config.protocol: must be one of TCP, MySQL, Redis, is 9"},
		{"policy", func(c *service.Config) { c.LbPolicy = 9 }, "config.lb_policy: must be one of ROUND_ROBIN, LEAST_CONNECTION, RANDOM, CLUSTER_PROVIDED, is 9"},
		{"seconds", func(c *service.Config) { c.IdleTimeout = &durationpb.Duration{Seconds: math.MaxInt64} }, "config.idle_timeout: must be a valid duration"},
		{"signs", func(c *service.Config) { c.IdleTimeout = &durationpb.Duration{Seconds: 1, Nanos: -1} }, "config.idle_timeout: must be a valid duration"},
		{"zero", func(c *service.Config) { c.ConnectTimeout = &durationpb.Duration{} }, "config.connect_timeout: must be more than 0s, is 0s"},
		{"check", func(c *service.Config) { c.HealthCheck = &hc.HealthCheck{Timeout: durationpb.New(-1)} }, "config.health_check.timeout: must be more than 0s, is -1ns"},
		{"NUL", func(c *service.Config) {
			c.HealthCheck = &hc.HealthCheck{Checker: &hc.HealthCheck_MysqlChecker{MysqlChecker: &hc.MySQLChecker{Username: "a\x00b"}}}
		}, "config.health_check.mysql_checker.username: must have no NUL"},
		{"strategy", redisOption(&protocol.RedisOption{ReadStrategy: 7}), "config.redis_option.read_strategy: must be one of MASTER, REPLICA, BOTH, is 7"},
		{"algorithm", compression(&redis.Compression{Algorithm: 7}), "config.redis_option.compression.algorithm: must be one of SNAPPY, ZSTD, is 7"},
		{"no threshold", compression(&redis.Compression{Enable: true}), "config.redis_option.compression.threshold: must be more than 0 when compression is enabled"},
		{"threshold", compression(&redis.Compression{Enable: true, Threshold: 8, MaxSize: 7}), "config.redis_option.compression.threshold: must be at most max_size, 7, is 8"},
		{"level", compression(&redis.Compression{Level: 23}), "config.redis_option.compression.level: must be 0..22, is 23"},
		{"size", compression(&redis.Compression{Enable: true, Threshold: math.MaxUint32, MaxSize: 512<<20 + 1}), "config.redis_option.compression.max_size: must be 0..536870912, is 536870913"},
		{"ratio below", compression(&redis.Compression{MaxRatio: 9}), "config.redis_option.compression.max_ratio: must be 10..100000, is 9"},
		{"ratio above", compression(&redis.Compression{MaxRatio: 100_001}), "config.redis_option.compression.max_ratio: must be 10..100000, is 100001"},
		{"hot keys listed", hotKeys(&redis.HotKeys{Capacity: 1001}), "config.redis_option.hot_keys.capacity: must be 0..1000, is 1001"},
		{"hot keys logged", hotKeys(&redis.HotKeys{LogTop: 101}), "config.redis_option.hot_keys.log_top: must be 0..100, is 101"},
		{"interval", hotKeys(&redis.HotKeys{Interval: &durationpb.Duration{Seconds: math.MaxInt64}}), "config.redis_option.hot_keys.interval: must be a valid duration"},
		{"window", hotKeys(&redis.HotKeys{Window: &durationpb.Duration{Seconds: 11, Nanos: -1}}), "config.redis_option.hot_keys.window: must be a valid duration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tcpConfig(80)
			tt.change(c)
			s, err := NewService("a", c, nil)
			assert.Nil(t, s)
			assert.EqualError(t, err, `service "a": `+tt.want)
		})
	}
}

// hotKeys makes a config one of Redis with these settings.
func hotKeys(h *redis.HotKeys) func(*service.Config) {
	return redisOption(&protocol.RedisOption{HotKeys: h})
}

// compression makes a config one of Redis with these settings.
func compression(s *redis.Compression) func(*service.Config) {
	return redisOption(&protocol.RedisOption{Compression: s})
}

func redisOption(o *protocol.RedisOption) func(*service.Config) {
	return func(c *service.Config) {
		c.Protocol = protocol.Protocol_Redis
		c.ProtocolOptions = &service.Config_RedisOption{RedisOption: o}
	}
}

// What may be set to its bounds, and what does not matter, is no problem.
func TestCompressionTakesItsBounds(t *testing.T) {
	filled := func(a redis.Compression_Algorithm, enable bool, threshold, level, size, ratio uint32) *redis.Compression {
		return &redis.Compression{Enable: enable, Algorithm: a, Threshold: threshold, Level: level, MaxSize: size, MaxRatio: ratio}
	}
	const snappy, zstd = redis.Compression_SNAPPY, redis.Compression_ZSTD
	tests := []struct {
		name        string
		given, want *redis.Compression
	}{
		{"absent", nil, filled(snappy, false, 0, 1, 512<<20, 1000)},
		{"empty", &redis.Compression{}, filled(snappy, false, 0, 1, 512<<20, 1000)},
		{"as of the original", &redis.Compression{Enable: true, Threshold: 1024}, filled(snappy, true, 1024, 1, 512<<20, 1000)},
		{"lowest", filled(zstd, true, 1, 1, 1, 10), filled(zstd, true, 1, 1, 1, 10)},
		{"highest", filled(zstd, true, 512<<20, 22, 512<<20, 100_000), filled(zstd, true, 512<<20, 22, 512<<20, 100_000)},
		{"level of no use", filled(snappy, true, 1, 22, 1, 10), filled(snappy, true, 1, 22, 1, 10)},
		{"threshold of no use", filled(zstd, false, math.MaxUint32, 0, 1, 0), filled(zstd, false, math.MaxUint32, 1, 1, 1000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tcpConfig(80)
			compression(tt.given)(c)
			s, err := NewService("a", c, nil)
			require.NoError(t, err)
			got := s.Config.GetRedisOption().Compression
			assert.True(t, proto.Equal(tt.want, got), "got %v", got)
			if tt.given == nil {
				assert.Nil(t, c.GetRedisOption().Compression, "the argument stays as it was")
			}
		})
	}
}

func TestNewServiceTellsAllProblems(t *testing.T) {
	far := &service.Endpoint{Address: &common.Address{Ip: "host", Port: 0}, State: 9, Type: 9}
	_, err := NewService("a\nb", nil, []*service.Endpoint{nil, {}, far})
	require.Error(t, err)
	assert.Equal(t, strings.Join([]string{
		`service "a\nb": name: must be printable, is "a\nb"`,
		`service "a\nb": endpoints[0].address: is required`,
		`service "a\nb": endpoints[1].address: is required`,
		`service "a\nb": endpoints[2].state: must be one of UP, DOWN, UNKNOWN, is 9`,
		`service "a\nb": endpoints[2].type: must be one of MAIN, BACKUP, is 9`,
		`service "a\nb": endpoints[2].address.ip: must be an IPv4 or IPv6 address, is "host"`,
		`service "a\nb": endpoints[2].address.port: must be 1..65535, is 0`,
		`service "a\nb": config: is required`,
	}, "\n"), err.Error())
}

func TestHostPort(t *testing.T) {
	good := []string{"a:1", "a.b-c.d_e:65535", "127.0.0.1:80", "[::1]:80", "example.com.:80"}
	bad := []string{"a", "a:", ":1", "a:0", "a:65536", "a:+1", "a:-1", "::1:80", "a b:1", "a..b:1", "-a:1", "a:http", "a/b:1", strings.Repeat("a.", 200) + ":1", strings.Repeat("a", 64) + ":1"}
	check := func(s string) bool {
		r := newReport("")
		(&validator{report: r}).hostPort("x", s)
		return r.err() == nil
	}
	for _, s := range good {
		assert.True(t, check(s), s)
	}
	for _, s := range bad {
		assert.False(t, check(s), s)
	}
}
