package main

import (
	"samaritan/api/protocol"
	"samaritan/proc"
	"samaritan/proc/redis"
)

// builders are the protocols that this build serves.
func builders() proc.Builders {
	return proc.Builders{protocol.Protocol_Redis: redis.New}
}
