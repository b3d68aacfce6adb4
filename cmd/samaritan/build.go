package main

import (
	"samaritan/api/protocol"
	"samaritan/proc"
	"samaritan/proc/redis"
	"samaritan/proc/tcp"
)

// builders are the protocols that this build serves. MySQL is a stream of bytes like
// any other; only its health check knows more of it.
func builders() proc.Builders {
	return proc.Builders{
		protocol.Protocol_Redis: redis.New,
		protocol.Protocol_TCP:   tcp.New,
		protocol.Protocol_MySQL: tcp.New,
	}
}
