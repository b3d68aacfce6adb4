// Package service has the settings of one proxied service: where it listens,
// what it speaks and where its servers are. It is generated from
// service.proto.
package service
