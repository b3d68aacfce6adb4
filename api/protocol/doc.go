// Package protocol has the protocols a service can speak, and the options of
// each. It is generated from protocol.proto.
package protocol
