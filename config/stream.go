package config

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/protocol"
	"samaritan/api/service"
)

// What holds of services that are proxied as streams of bytes (TCP, MySQL) when the
// config says nothing, and what may be set.
const (
	defaultDrainTimeout    = 10 * time.Minute
	defaultConnectAttempts = 3

	maxConnectAttempts = 100
)

// StreamOption are the options that all protocols have which are proxied as streams
// of bytes: [protocol.TCPOption] and [protocol.MySQLOption].
type StreamOption interface {
	GetDrainTimeout() *durationpb.Duration
	GetConnectAttempts() uint32
}

// Stream returns the options of a service that is proxied as a stream of bytes, and
// nil for another.
func (s *Service) Stream() StreamOption { return streamOption(s.Config) }

func streamOption(c *service.Config) StreamOption {
	switch o := c.ProtocolOptions.(type) {
	case *service.Config_TcpOption:
		if o.TcpOption != nil {
			return o.TcpOption
		}
	case *service.Config_MysqlOption:
		if o.MysqlOption != nil {
			return o.MysqlOption
		}
	}
	return nil
}

// fillOption gives a service the options of its protocol.
func fillOption(c *service.Config) {
	switch c.Protocol {
	case protocol.Protocol_Redis:
		c.ProtocolOptions = &service.Config_RedisOption{RedisOption: &protocol.RedisOption{}}
	case protocol.Protocol_TCP:
		c.ProtocolOptions = &service.Config_TcpOption{TcpOption: &protocol.TCPOption{}}
	case protocol.Protocol_MySQL:
		c.ProtocolOptions = &service.Config_MysqlOption{MysqlOption: &protocol.MySQLOption{}}
	}
}

// fillStreams completes the options of a service that is a stream of bytes.
func fillStreams(c *service.Config) {
	if o := c.GetTcpOption(); o != nil {
		orDuration(&o.DrainTimeout, defaultDrainTimeout)
		orNumber(&o.ConnectAttempts, defaultConnectAttempts)
	}
	if o := c.GetMysqlOption(); o != nil {
		orDuration(&o.DrainTimeout, defaultDrainTimeout)
		orNumber(&o.ConnectAttempts, defaultConnectAttempts)
	}
}

func (v *validator) streamOption(path string, o StreamOption) {
	v.positive(path+".drain_timeout", o.GetDrainTimeout())
	v.atMost(path+".connect_attempts", o.GetConnectAttempts(), maxConnectAttempts)
}
