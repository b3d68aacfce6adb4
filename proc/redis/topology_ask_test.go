package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nonsense is what nodes may say instead of a slot map.
var nonsense = map[string]string{
	"nothing":            "",
	"OK":                 "+OK\r\n",
	"a number":           ":1\r\n",
	"null":               "$-1\r\n",
	"an empty list":      "*0\r\n",
	"a null list":        "*-1\r\n",
	"a list of nulls":    "*3\r\n*-1\r\n$-1\r\n_\r\n",
	"an unknown command": "-ERR unknown command 'CLUSTER'\r\n",
	"no cluster":         "-ERR This instance has cluster support disabled\r\n",
	"loading":            "-LOADING Redis is loading the dataset in memory\r\n",
	"no password":        "-NOAUTH Authentication required.\r\n",
	"another protocol":   "HTTP/1.1 400 Bad Request\r\n\r\n",
	"noise":              "\x00\x01\xff\xfe",
	"a huge length":      "$99999999999\r\n",
	"a huge list":        "*2147483647\r\n",
	"deep nesting":       strings.Repeat("*1\r\n", 100_000),
	"half a reply":       slotsText(three)[:60],
	"no addresses":       "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:0\r\n",
	"only a bad range":   "*1\r\n*3\r\n:5\r\n:99999\r\n*2\r\n$1\r\na\r\n:1\r\n",
}

func TestNonsenseKeepsTheMap(t *testing.T) {
	for name, raw := range nonsense {
		t.Run(name, func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				r.change(func(n map[string]*pipeNode) {
					for _, f := range n {
						f.raw, f.closes, f.hung = raw, true, raw == ""
					}
				})
				r.trigger(causeMoved, nodeB)
				pass(10 * time.Second)
				assert.True(t, mapOf(t, three).Equal(r.Map()))
				assert.Error(t, r.Err())
				threeMasters(r.pipeNet)
				r.change(func(n map[string]*pipeNode) {
					for _, f := range n {
						f.raw, f.closes, f.hung = "", false, false
					}
				})
				pass(askLimit + watchMax)
				assert.NoError(t, r.Err())
			})
		})
	}
}

func TestNonsenseOfOneNodeIsPassedOver(t *testing.T) {
	for name, raw := range nonsense {
		t.Run(name, func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				r.all(failedOver, nodeA, nodeB, nodeC, nodeD)
				r.change(func(n map[string]*pipeNode) { n[nodeB].raw, n[nodeB].closes, n[nodeB].hung = raw, true, raw == "" })
				r.trigger(causeMoved, nodeB)
				r.until(t, 0, nodeD, 630*time.Millisecond)
				assert.NoError(t, r.Err())
			})
		})
	}
}

func TestManyHungNodesInARow(t *testing.T) {
	setup := func(n *pipeNet) []string {
		threeMasters(n)
		seeds := []string{"far0:1", "far1:1", "far2:1", "far3:1", nodeA}
		n.change(func(nodes map[string]*pipeNode) {
			for _, s := range seeds[:4] {
				nodes[s] = &pipeNode{far: true}
			}
		})
		return seeds
	}
	began := time.Now()
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.Equal(t, nodeA, r.owner(0), "200 ms for each of them")
	})
	assert.Less(t, time.Since(began), patience)
}

func TestOtherWaysToAsk(t *testing.T) {
	shards := "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*10\r\n" +
		"$2\r\nid\r\n$1\r\nx\r\n$4\r\nport\r\n:7\r\n$2\r\nip\r\n$7\r\n1.2.3.4\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$6\r\nhealth\r\n$6\r\nonline\r\n"
	nodes := bulkReply("x 1.2.3.4:7@8 myself,master - 0 0 1 connected 0-16383\n")
	for name, tt := range map[string]struct {
		slots, shards, nodes string
		ok                   bool
	}{
		"SHARDS":           {"-NOPERM no\r\n", shards, "-NOPERM no\r\n", true},
		"NODES":            {"-ERR unknown subcommand\r\n", "-ERR unknown subcommand\r\n", nodes, true},
		"none":             {"-NOPERM no\r\n", "-NOPERM no\r\n", "-NOPERM no\r\n", false},
		"not when loading": {"-LOADING later\r\n", shards, nodes, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := startScripted(t, func(_ *scriptedNode, args []string) (string, bool) {
				switch strings.Join(args, " ") {
				case "CLUSTER SLOTS":
					return tt.slots, true
				case "CLUSTER SHARDS":
					return tt.shards, true
				case "CLUSTER NODES":
					return tt.nodes, true
				}
				return "-NOPERM no\r\n", true
			})
			tp := newTopology(nil, nil, nil)
			for _, epochs := range []bool{false, true} {
				a := tp.ask(t.Context(), n.Addr, epochs)
				if !tt.ok {
					require.ErrorContains(t, a.err, strings.TrimSpace(tt.slots[1:]), "the first refusal")
					continue
				}
				require.NoError(t, a.err)
				assert.Equal(t, "1.2.3.4:7", a.slots.Nodes()[a.slots.Master(0)].Addr)
			}
		})
	}
}

func TestEpochsAreAskedForOnDemand(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		a := r.ask(t.Context(), nodeA, true)
		require.NoError(t, a.err)
		assert.EqualValues(t, 3, a.epoch)
		assert.EqualValues(t, 0, r.ask(t.Context(), nodeA, false).epoch)
		r.change(func(n map[string]*pipeNode) { n[nodeA].noNodes = true })
		a = r.ask(t.Context(), nodeA, true)
		require.NoError(t, a.err, "the map is good without epochs")
		assert.EqualValues(t, 0, a.epoch)
	})
}
