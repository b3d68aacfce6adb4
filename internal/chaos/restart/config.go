package restart

import (
	"fmt"
	"net"
	"strings"
)

// Config is a config file.
type Config struct {
	Admin    string // host:port
	Services []Service
}

// Service is a service of a config file.
type Service struct {
	Name   string
	Listen string   // host:port
	More   string   // its protocol and further fields, "protocol: Redis" when empty
	Nodes  []string // endpoints
}

// text is the file.
func (c Config) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {bind: %s}\nstatic_services:\n", yamlAddr(c.Admin))
	for _, s := range c.Services {
		more := s.More
		if more == "" {
			more = "protocol: Redis"
		}
		fmt.Fprintf(&b, "  - name: %s\n    config: {listener: {address: %s}, %s}\n    endpoints:\n", s.Name, yamlAddr(s.Listen), more)
		for _, n := range s.Nodes {
			fmt.Fprintf(&b, "      - address: %s\n", yamlAddr(n))
		}
	}
	return b.String()
}

// yamlAddr writes "host:port" as the config wants it.
func yamlAddr(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("{ip: %q, port: %s}", host, port)
}
