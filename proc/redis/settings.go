package redis

import (
	"time"

	"samaritan/api/redis"
	"samaritan/config"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/filter"
)

// settings is what the data path needs of the configuration, as an immutable
// snapshot.
type settings struct {
	connectTimeout time.Duration
	idleTimeout    time.Duration
	requestTimeout time.Duration
	slowThreshold  time.Duration
	stallTimeout   time.Duration // see the constant
	read           redis.ReadStrategy
	hot            hotSettings
	compression    filter.Compression
}

// hotSettings says how hot keys are found.
type hotSettings struct {
	enable   bool
	capacity int           // keys that are listed, 1..1000
	interval time.Duration // between two merges, 1s..1h
	window   time.Duration // over which keys are counted: 1 to 10 whole intervals
	logTop   int           // keys to log after each interval, 0..100
}

func newSettings(svc *config.Service) *settings {
	c := svc.Config
	o := c.GetRedisOption()
	return &settings{
		connectTimeout: config.Duration(c.GetConnectTimeout()),
		idleTimeout:    config.Duration(c.GetIdleTimeout()),
		requestTimeout: config.Duration(o.GetRequestTimeout()),
		slowThreshold:  config.Duration(o.GetSlowThreshold()),
		stallTimeout:   stallTimeout,
		read:           o.GetReadStrategy(),
		hot:            newHotSettings(o.GetHotKeys()),
		compression:    newCompression(o.GetCompression()),
	}
}

func newHotSettings(h *redis.HotKeys) hotSettings {
	return hotSettings{
		enable:   h.GetEnable(),
		capacity: int(h.GetCapacity()),
		interval: config.Duration(h.GetInterval()),
		window:   config.Duration(h.GetWindow()),
		logTop:   int(h.GetLogTop()),
	}
}

func newCompression(c *redis.Compression) filter.Compression {
	return filter.Compression{
		Enable:    c.GetEnable(),
		Algorithm: compress.Algorithm(c.GetAlgorithm()),
		Threshold: int(c.GetThreshold()),
		Level:     int(c.GetLevel()),
		Limits:    compress.Limits{Size: int(c.GetMaxSize()), Ratio: int(c.GetMaxRatio())},
	}
}

// Limits of what one session or one node may keep in memory. When one is reached
// the session concerned is not read from until things have moved on.
const (
	// maxInFlight is the most requests of a session without a reply.
	maxInFlight = 1024
	// sessionOutput is how many bytes of replies may wait for a client before it is
	// not read from any more, and how many are expected for the requests in flight.
	sessionOutput = 4 << 20
	// firstReplySize is the size expected of a session's replies before it has had any:
	// few requests of a new session are in flight until it is known how large they are.
	firstReplySize = 64 << 10
	// sessionOutputHigh is when a client that still gets more, and has taken nothing
	// for a second, is closed; with sessionOutputMax it is closed even if it takes some.
	sessionOutputHigh = 256 << 20
	sessionOutputMax  = 1 << 30
	// sessionDecoded is how many bytes of replies may be decompressed for a session, its output
	// included, before their turn has come.
	sessionDecoded = 64 << 20
	// nodeWindow is how many bytes of requests may be outstanding at a node.
	nodeWindow = 32 << 20
	// nodeRequests is how many requests may be outstanding at a node.
	nodeRequests = 1 << 17
	// shareMin is the size from which bytes move by reference and not by copy.
	shareMin = filter.LargeFrame
	// maxHops is how often a request may be redirected or tried again.
	maxHops = 5
	// stallTimeout is how long a client may take no byte of the replies that wait
	// for it before it is closed.
	stallTimeout = 60 * time.Second
)
