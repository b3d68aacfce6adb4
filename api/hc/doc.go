// Package hc has the settings of active health checks. It is generated from
// hc.proto.
package hc
