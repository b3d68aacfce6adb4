package redis

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gatedNode is a node that answers nothing before it has so many commands.
type gatedNode struct {
	mu   sync.Mutex
	due  int
	late []func()
	full chan struct{}
}

func (g *gatedNode) script(_ []*wireNode, c *wireConn, args []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = append(g.late, func() { c.say(echoReply(args)) })
	if len(g.late) < g.due {
		return
	}
	if len(g.late) == g.due {
		close(g.full)
	}
	g.openLocked()
}

func (g *gatedNode) openLocked() {
	for _, say := range g.late {
		say()
	}
	g.due, g.late = 0, nil
}

// Commands that cannot get out of order among each other travel together: the node
// gets all of them before it has answered any.
func TestPipelinesThatNeedNoOrderAreNotHeldBack(t *testing.T) {
	const n = 50 // a new session may not have many more in flight
	tests := map[string]func(i int) []any{
		"one key":                        func(i int) []any { return cmd("SET", "{t}a", i) },
		"reads of the same keys":         func(int) []any { return cmd("MGET", "{t}a", "{t}b") },
		"writes of the same keys":        func(i int) []any { return cmd("MSET", "{t}a", i, "{t}b", i) },
		"removal and reads of the same":  func(i int) []any { return [][]any{cmd("DEL", "{t}a", "{t}b"), cmd("MGET", "{t}a", "{t}b")}[i%2] },
		"three of the same":              func(int) []any { return cmd("SINTERSTORE", "{t}a", "{t}b", "{t}c") },
		"scripts on the same keys":       func(i int) []any { return cmd("EVAL", "s", 2, "{t}a", "{t}b", i) },
		"disjoint keys":                  func(i int) []any { return cmd("MSET", fmt.Sprint("{t}a", i), i, fmt.Sprint("{t}b", i), i) },
		"disjoint keys, and single ones": func(i int) []any { return disjointKeys(i) },
		"other slots":                    func(i int) []any { return cmd("MGET", fmt.Sprintf("{t%d}a", i), fmt.Sprintf("{t%d}b", i)) },
		"a key twice":                    func(int) []any { return cmd("MGET", "{t}a", "{t}a") },
		"one key after the other":        func(i int) []any { return cmd("MGET", fmt.Sprint("{t}", i)) },
	}
	for name, command := range tests {
		for _, proto := range []int{2, 3} {
			t.Run(fmt.Sprint(name, proto), func(t *testing.T) {
				t.Parallel()
				g := &gatedNode{due: n, full: make(chan struct{})}
				nodes := startWires(t, 1, 1, g.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				must(t, conn, "HELLO", proto)
				var cmds [][]any
				for i := range n {
					cmds = append(cmds, command(i))
				}
				require.NoError(t, conn.Send(cmds...))
				select {
				case <-g.full:
				case <-time.After(time.Second):
					g.mu.Lock()
					assert.Len(t, g.late, n, "the node got no more of the pipeline")
					g.openLocked()
					g.mu.Unlock()
				}
				receive(t, conn, n)
			})
		}
	}
}

func disjointKeys(i int) []any {
	if i%2 == 0 {
		return cmd("MGET", fmt.Sprint("{t}a", i), fmt.Sprint("{t}b", i))
	}
	return cmd("SET", fmt.Sprint("{t}a", i), i)
}
