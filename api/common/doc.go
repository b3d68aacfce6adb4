// Package common has the messages that the config and the discovery API share:
// Instance and Address. It is generated from common.proto.
package common
