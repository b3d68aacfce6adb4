// Package bootstrap has the schema of the config file. It is generated from
// bootstrap.proto.
package bootstrap
