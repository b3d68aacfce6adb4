// Package redis has the types of the settings of Redis services. It is
// generated from redis.proto.
package redis
