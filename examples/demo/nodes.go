package main

import (
	"context"
	"fmt"
	"os/exec"

	"samaritan/examples/demo/minicluster"
	"samaritan/internal/testredis"
)

// The kinds of nodes that -nodes takes.
const (
	auto      = "auto"
	real      = "real"
	inprocess = "inprocess"
)

const masters = 3

// nodes is the running cluster.
type nodes interface {
	Addrs() []string // host:port of each master, in the order of their slots
	Note() string    // what the user should know about them, a line or nothing
	Close() error
}

func startNodes(ctx context.Context, kind string) (nodes, error) {
	if kind == auto {
		kind = installed()
	}
	switch kind {
	case real:
		c, err := testredis.Start(ctx, testredis.Options{Masters: masters})
		if err != nil {
			return nil, err
		}
		return realNodes{c}, nil
	case inprocess:
		c, err := minicluster.Start(masters)
		if err != nil {
			return nil, err
		}
		return inprocessNodes{c}, nil
	default:
		return nil, fmt.Errorf("-nodes %s: want %s, %s or %s", kind, real, inprocess, auto)
	}
}

// installed is the kind of nodes that this machine can run.
func installed() string {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return inprocess
	}
	return real
}

// realNodes are redis-server processes.
type realNodes struct{ *testredis.Cluster }

func (realNodes) Note() string { return "They are redis-server processes.\n" }

// inprocessNodes live in the demo itself.
type inprocessNodes struct{ cluster *minicluster.Cluster }

func (n inprocessNodes) Addrs() []string { return n.cluster.Addrs() }

func (inprocessNodes) Note() string {
	return "They run inside the demo and know the usual commands only: with redis-server\ninstalled, the demo runs real ones.\n"
}

func (n inprocessNodes) Close() error {
	n.cluster.Close()
	return nil
}
