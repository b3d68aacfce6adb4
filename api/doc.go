// Package api has the gRPC API of the dynamic source: the streams by which a
// management server tells a sidecar its services.
//
// The .proto files here and in the folders below are the schema of the config
// file and of the discovery API. They hold no logic; scripts/genproto.sh makes
// the Go code next to them. The field numbers below 100 are those of the
// original Samaritan, whose management servers must go on working, and are
// never changed. Fields of our own in its messages are numbered from 100 up; those
// of messages of our own, from 1.
package api
