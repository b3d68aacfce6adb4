package main

import (
	"fmt"
	"strings"
)

// guide is what the user reads once everything is up.
func guide(s setup, nodes nodes) string {
	var b strings.Builder
	first := nodes.Addrs()[0]
	fmt.Fprintf(&b, `
Samaritan is ready. What looks like one Redis server on port %[1]d is a cluster
of three masters: %[2]s
%[3]s
Type in another terminal:

  redis-cli -p %[1]d set a 1
  redis-cli -p %[1]d mset a 1 b 2 c 3          keys of three nodes, one command
  redis-cli -p %[1]d mget a b c
  redis-cli -p %[5]s get a                   a node itself answers MOVED
  redis-cli -p %[1]d --scan                    the keys of all nodes

  curl 'http://127.0.0.1:%[4]d/stats?filter=redis'
  curl 'http://127.0.0.1:%[4]d/topology?service=redis-demo'
  curl http://127.0.0.1:%[4]d/config

^C stops everything.
`, s.port, strings.Join(nodes.Addrs(), ", "), nodes.Note(), s.admin, first[strings.LastIndexByte(first, ':')+1:])
	return b.String()
}
