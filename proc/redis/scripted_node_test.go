package redis

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// scriptedNode is a node that says what a test wants. Requests go to reply, which returns
// the raw bytes to send and whether the connection stays open. It may be called by
// several connections at once.
type scriptedNode struct {
	Addr  string
	Port  int
	reply func(args []string) (raw string, open bool)
}

// startScripted serves until the test ends. The node calls itself owner of all slots
// unless reply has an answer to CLUSTER.
func startScripted(t *testing.T, reply func(n *scriptedNode, args []string) (string, bool)) *scriptedNode {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &scriptedNode{Addr: ln.Addr().String(), Port: ln.Addr().(*net.TCPAddr).Port}
	n.reply = func(args []string) (string, bool) {
		raw, open := reply(n, args)
		switch {
		case raw != "" || !open:
			return raw, open
		case strings.EqualFold(args[0], "cluster"):
			return slotsReply(n.Port), true
		case strings.EqualFold(args[0], "info"):
			return "$25\r\n# Server\r\nredis_version:7\r\n", true
		}
		return "+OK\r\n", true
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				n.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return n
}

func (n *scriptedNode) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		args, err := readRequest(r)
		if err != nil {
			return
		}
		raw, open := n.reply(args)
		if _, err := io.WriteString(c, raw); err != nil || !open {
			return
		}
	}
}

// readRequest reads an array of bulk strings, which is all that a proxy sends.
func readRequest(r *bufio.Reader) ([]string, error) {
	length := func() (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	count, err := length()
	if err != nil {
		return nil, err
	}
	args := make([]string, count)
	for i := range args {
		size, err := length()
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

// slotsReply is CLUSTER SLOTS of masters on loopback that share the slots evenly.
func slotsReply(ports ...int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(ports))
	for i, port := range ports {
		first, last := i*16384/len(ports), (i+1)*16384/len(ports)-1
		id := fmt.Sprintf("%040d", port)
		fmt.Fprintf(&b, "*3\r\n:%d\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$40\r\n%s\r\n", first, last, port, id)
	}
	return b.String()
}
