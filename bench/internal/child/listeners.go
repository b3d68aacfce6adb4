package child

import (
	"fmt"
	"os"
	"strings"
)

// Listeners returns how many TCP sockets of this machine listen at a port of an IPv4 address. To ask the kernel
// is no load for who listens.
func Listeners(port int) (int, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	return countListeners(string(table), port), nil
}

// countListeners counts the lines of a table as in proc_pid_net(5) that have the port, and the state TCP_LISTEN.
func countListeners(table string, port int) (n int) {
	const listen = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == listen && strings.HasSuffix(fields[1], suffix) {
			n++
		}
	}
	return n
}
