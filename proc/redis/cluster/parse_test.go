package cluster

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parsers are the three sources of a map.
var parsers = map[string]func(reply []byte) (*Map, error){
	"CLUSTER SLOTS":  func(reply []byte) (*Map, error) { return ParseSlots(reply, asked) },
	"CLUSTER SHARDS": func(reply []byte) (*Map, error) { return ParseShards(reply, asked, false) },
	"CLUSTER NODES":  func(reply []byte) (*Map, error) { return ParseNodes(reply, asked) },
}

func TestNothingUsableIsAnError(t *testing.T) {
	for _, reply := range []string{
		"", "\r\n", "\n", "*", "*\r\n", "*0\r\n", "*-1\r\n", "*-2\r\n", "%0\r\n", "_\r\n", "$-1\r\n", "$0\r\n\r\n", "=4\r\ntxt:\r\n",
		"+OK\r\n", ":1\r\n", "-ERR unknown command\r\n", "-NOAUTH Authentication required.\r\n", "!9\r\nERR wrong\r\n", "-", "-\r\n", "$",
		"$5\r\nab", "$99999999999\r\nab", "*3000000000\r\n", "*99999999999999999999999\r\n", "*1\r\n*1\r\n*1\r\n:1\r\n",
		"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:0\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "garbage", "\x00\x01\x02", "|1\r\n+a\r\n+b\r\n",
		"*1\n*1\n", "$3\r\nabcde", "*?\r\n:1\r\n.\r\n", "=2\r\nab\r\n", "$-5\r\n",
	} {
		for name, parse := range parsers {
			m, err := parse([]byte(reply))
			assert.Nil(t, m, "%s %q", name, reply)
			assert.ErrorIs(t, err, ErrUnusable, "%s %q", name, reply)
			assert.ErrorContains(t, err, name, "%q", reply)
		}
	}
}

func TestTheErrorOfTheNodeIsReported(t *testing.T) {
	for name, parse := range parsers {
		_, err := parse([]byte("-NOPERM this user has no permissions\r\n"))
		assert.ErrorContains(t, err, "NOPERM this user has no permissions", name)
	}
}

func TestAttributesBeforeAReplyArePassedOver(t *testing.T) {
	const attribute = "|1\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n"
	entry := encode(list{0, 99, list{"10.0.0.1", 7000, idA}}, 3)
	m, err := ParseSlots([]byte(attribute+"*1\r\n"+attribute+entry), asked)
	require.NoError(t, err)
	assert.Equal(t, 100, m.Covered())
}

func TestTruncatedRepliesAreGoodUpToThere(t *testing.T) {
	slots := encode(list{
		list{0, 99, list{"10.0.0.1", 7000, idA}},
		list{100, 199, list{"10.0.0.2", 7000, idB}},
	}, 2)
	shards := encode(list{
		dict{"slots", list{0, 99}, "nodes", list{shardNodeReply(idA, "10.0.0.1", 7000, "master", "online")}},
		dict{"slots", list{100, 199}, "nodes", list{shardNodeReply(idB, "10.0.0.2", 7000, "master", "online")}},
	}, 3)
	nodes := encode(nodeLine(idA, "10.0.0.1:7000", "master", "-", 1, "0-99")+nodeLine(idB, "10.0.0.2:7000", "master", "-", 1, "100-199"), 2)
	for name, reply := range map[string]string{"CLUSTER SLOTS": slots, "CLUSTER SHARDS": shards, "CLUSTER NODES": nodes} {
		parse := parsers[name]
		seen := map[int]bool{}
		for end := range len(reply) {
			m, err := parse([]byte(reply[:end]))
			if err != nil {
				seen[0] = true
				continue
			}
			checkMap(t, m)
			seen[m.Covered()] = true
			// NODES is complete with its last line, before the end of the string.
			assert.Contains(t, []int{100, 200}, m.Covered(), "%s cut at %d", name, end)
		}
		assert.True(t, seen[0] && seen[100], name)
	}
}

func TestCountsAreNotBelieved(t *testing.T) {
	good := encode(list{0, 99, list{"10.0.0.1", 7000, idA}}, 2)
	for _, count := range []string{"*2\r\n", "*3000000000\r\n", "*9223372036854775807\r\n", "%4611686018427387904\r\n"} {
		m, err := ParseSlots([]byte(count+good), asked)
		require.NoError(t, err, count)
		assert.Equal(t, 100, m.Covered(), count)
	}
}

func TestNestingIsBounded(t *testing.T) {
	for name, parse := range parsers {
		for _, unit := range []string{"*1\r\n", "%1\r\n", "|1\r\n", "*2\r\n:1\r\n", "*9\r\n", "|0\r\n"} {
			_, err := parse([]byte(strings.Repeat(unit, 1_000_000)))
			assert.ErrorIs(t, err, ErrUnusable, "%s %q", name, unit)
		}
	}
}

func TestTooManyNodesAreLeftOut(t *testing.T) {
	var b strings.Builder
	for i := range maxNodes + 100 {
		b.WriteString("*3\r\n" + encodeAll([]any{i % Slots, i % Slots}, 2))
		b.WriteString(encode(list{"h", 1 + i%65535}, 2))
	}
	m, err := ParseSlots([]byte("*99999\r\n"+b.String()), asked)
	require.NoError(t, err)
	checkMap(t, m)
	assert.Len(t, m.Nodes(), maxNodes)
}

func TestAMapDoesNotHoldOnToTheReply(t *testing.T) {
	reply := []byte(encode(list{list{0, 99, list{"10.0.0.1", 7000, idA}}}, 2))
	m, err := ParseSlots(reply, asked)
	require.NoError(t, err)
	before := m.String()
	clear(reply)
	runtime.KeepAlive(reply)
	assert.Equal(t, before, m.String())
}

func TestWithoutAnAskedHostNodesWithoutOneAreLeftOut(t *testing.T) {
	reply := []byte(encode(list{
		list{0, 9, list{"", 7000, idA}},
		list{10, 19, list{"10.0.0.2", 7000, idB}},
	}, 2))
	for _, asked := range []string{"", ":7000", "no host:7000"} {
		m, err := ParseSlots(reply, asked)
		require.NoError(t, err)
		assert.Equal(t, 10, m.Covered(), "%q", asked)
	}
	for _, asked := range []string{"[::1]:6379", "::1"} {
		m, err := ParseSlots(reply, asked)
		require.NoError(t, err)
		assert.Equal(t, "[::1]:7000", m.Nodes()[m.Master(0)].Addr, "%q", asked)
	}
}

func fuzzParser(f *testing.F, command string, seeds ...string) {
	parse := parsers[command]
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		m, err := parse(reply)
		if (m == nil) == (err == nil) {
			t.Fatalf("map %v and error %v", m, err)
		}
		if m != nil {
			checkMap(t, m)
		}
	})
}

func FuzzParseSlots(f *testing.F) {
	var seeds []string
	for _, c := range slotsCases {
		seeds = append(seeds, encode(c.reply, 2), encode(c.reply, 3))
	}
	fuzzParser(f, "CLUSTER SLOTS", seeds...)
}

func FuzzParseShards(f *testing.F) {
	var seeds []string
	for _, c := range shardsCases {
		seeds = append(seeds, encode(c.reply, 2), encode(c.reply, 3))
	}
	fuzzParser(f, "CLUSTER SHARDS", seeds...)
}

func FuzzParseNodes(f *testing.F) {
	var seeds []string
	for _, c := range nodesCases {
		seeds = append(seeds, c.text, encode(c.text, 2))
	}
	fuzzParser(f, "CLUSTER NODES", seeds...)
}

// BenchmarkParseSlots parses the largest reply that a real cluster can give: every slot a range of
// its own, each with two replicas.
func BenchmarkParseSlots(b *testing.B) {
	var entries list
	for slot := range Slots {
		n := slot % 100
		entry := list{slot, slot}
		for k := range 3 {
			entry = append(entry, list{fmt.Sprintf("10.0.%d.%d", k, n), 7000, fmt.Sprintf("%040d", n*3+k), dict{}})
		}
		entries = append(entries, entry)
	}
	reply := []byte(encode(entries, 3))
	b.SetBytes(int64(len(reply)))
	b.ReportAllocs()
	for b.Loop() {
		if m, err := ParseSlots(reply, asked); err != nil || m.Covered() != Slots || len(m.Nodes()) != 300 {
			b.Fatal(m, err)
		}
	}
}
