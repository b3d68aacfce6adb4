package main

import (
	"fmt"
	"path/filepath"
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
  curl -X POST http://127.0.0.1:%[4]d/ops/hotrestart   another process takes over, redis-cli stays connected
`, s.Port, strings.Join(nodes.Addrs(), ", "), nodes.Note(), s.Admin, first[strings.LastIndexByte(first, ':')+1:])
	if s.Source != "" {
		b.WriteString(dynamicGuide(s))
	}
	b.WriteString("\n^C stops everything.\n")
	return b.String()
}

// dynamicGuide is what -dynamic has besides.
func dynamicGuide(s setup) string {
	return fmt.Sprintf(`
Port %[1]d is a TCP service, in front of two web servers of the demo:

  curl http://127.0.0.1:%[1]d                  one of them, then the other
  curl -X POST http://127.0.0.1:%[2]d/sick     that one fails its health checks (/well ends it)
  curl 'http://127.0.0.1:%[3]d/endpoints?service=web'

Both services come from a management server. Edit a file of it, give the service
another port, delete it, and look:

  $EDITOR %[4]s
  curl http://127.0.0.1:%[3]d/services         what runs
  curl http://127.0.0.1:%[3]d/dynamic          what the management server has told
`, s.WebPort, s.Web[0].Port(), s.Admin, filepath.Join(s.dir, discoveryDir, "services", "web.yaml"))
}
