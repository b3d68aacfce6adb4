package config

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/api/hc"
	"samaritan/api/redis"
	"samaritan/api/service"
)

// What holds when the config says nothing.
const (
	defaultAdminIP        = "127.0.0.1"
	defaultAdminPort      = 12345
	defaultConnectTimeout = 3 * time.Second
	defaultIdleTimeout    = 10 * time.Minute
	defaultRequestTimeout = 5 * time.Second
	defaultSlowThreshold  = 50 * time.Millisecond
	defaultCheckInterval  = 10 * time.Second
	defaultCheckTimeout   = 3 * time.Second
	defaultFallThreshold  = 3
	defaultRiseThreshold  = 3
)

// fillBootstrap sets what was left out of a config file.
func fillBootstrap(b *bootstrap.Bootstrap) {
	if b.Log == nil {
		b.Log = &bootstrap.Log{}
	}
	if b.Log.Output == nil {
		b.Log.Output = &bootstrap.Log_Output{}
	}
	if b.Admin == nil {
		b.Admin = &bootstrap.Admin{}
	}
	if b.Admin.Bind == nil {
		b.Admin.Bind = &common.Address{Ip: defaultAdminIP, Port: defaultAdminPort}
	}
	for _, s := range b.StaticServices {
		if s.Config != nil {
			fillConfig(s.Config)
		}
	}
}

// fillConfig sets what was left out of the config of a service.
func fillConfig(c *service.Config) {
	orDuration(&c.ConnectTimeout, defaultConnectTimeout)
	orDuration(&c.IdleTimeout, defaultIdleTimeout)
	if c.HealthCheck != nil {
		fillHealthCheck(c.HealthCheck)
	}
	if c.ProtocolOptions == nil {
		fillOption(c)
	}
	fillStreams(c)
	if o := c.GetRedisOption(); o != nil {
		orDuration(&o.RequestTimeout, defaultRequestTimeout)
		orDuration(&o.SlowThreshold, defaultSlowThreshold)
		if o.Compression == nil {
			o.Compression = &redis.Compression{}
		}
		fillCompression(o.Compression)
		if o.HotKeys == nil {
			o.HotKeys = &redis.HotKeys{}
		}
		fillHotKeys(o.HotKeys)
	}
}

func fillHealthCheck(h *hc.HealthCheck) {
	orDuration(&h.Interval, defaultCheckInterval)
	orDuration(&h.Timeout, defaultCheckTimeout)
	if h.FallThreshold == 0 {
		h.FallThreshold = defaultFallThreshold
	}
	if h.RiseThreshold == 0 {
		h.RiseThreshold = defaultRiseThreshold
	}
	if h.Checker == nil {
		h.Checker = &hc.HealthCheck_TcpChecker{TcpChecker: &hc.TCPChecker{}}
	}
}

func orDuration(d **durationpb.Duration, value time.Duration) {
	if *d == nil {
		*d = durationpb.New(value)
	}
}
