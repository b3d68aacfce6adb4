package command

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGetKeysIsTheServers asks the server's COMMAND GETKEYS about the examples, about every command
// with several numbers of arguments, and about random lines of the commands with movable keys.
func TestGetKeysIsTheServers(t *testing.T) {
	s := startServer(t)
	lines := exampleRequests()
	require.Greater(t, len(lines), 150)
	lines = append(lines, requestsOfAllCommands()...)
	lines = append(lines, randomRequests(4000)...)
	for _, args := range lines {
		if len(args) < 2 {
			continue // COMMAND GETKEYS wants more itself
		}
		want := s.do(append([]string{"COMMAND", "GETKEYS"}, args...)...)
		if got := getKeysReply(args); !assert.Equal(t, want, got, "COMMAND GETKEYS %q", args) {
			return
		}
	}
}

// getKeysReply is what our COMMAND GETKEYS answers.
func getKeysReply(args []string) any {
	frame, parsed := request(args...)
	i := Resolve(frame, parsed)
	if i == nil {
		return serverError("ERR Invalid command specified")
	}
	found, err := i.GetKeys(nil, frame, parsed)
	if err != nil {
		return serverError("ERR " + err.Error())
	}
	out := make([]any, 0, len(found))
	for _, k := range found {
		out = append(out, args[k])
	}
	return out
}

// TestKeysIsAClusterNodes holds Keys to what a cluster node routes by. The node owns only the lower
// half of the slots, and commands are only queued, never executed. So a request with keys of one
// slot is either queued or refused with CLUSTERDOWN, depending on the slot; one with keys in several
// slots is refused; one without keys is queued.
func TestKeysIsAClusterNodes(t *testing.T) {
	s := startNode(t)
	require.Equal(t, "OK", s.do("CLUSTER", "ADDSLOTSRANGE", "0", "8191"))
	require.Eventually(t, func() bool {
		return strings.Contains(s.do("CLUSTER", "INFO").(string), "cluster_state:ok")
	}, 20*time.Second, 50*time.Millisecond)

	slots := make(map[string]int)
	slotOf := func(key string) int {
		if _, ok := slots[key]; !ok {
			slots[key] = s.do("CLUSTER", "KEYSLOT", key).(int)
		}
		return slots[key]
	}
	lines := append(exampleRequests(), requestsOfAllCommands()...)
	lines = append(lines, randomRequests(4000)...)
	for _, args := range lines {
		frame, parsed := request(args...)
		i := Resolve(frame, parsed)
		if i == nil || !arityFits(i.Arity, len(args)) || i.Group == "transactions" || i.Flags.Has(NoMulti) || i.Flags&(NoAuth|AllowBusy) != 0 {
			continue
		}
		found, _ := i.Keys(nil, frame, parsed)
		require.Equal(t, "OK", s.do("MULTI"))
		got := routeOf(s.do(args...))
		require.Equal(t, "OK", s.do("DISCARD"))
		if !assert.Contains(t, expectedRoutes(found, args, slotOf), got, "%q, keys %v", args, found) {
			return
		}
	}
}

func routeOf(reply any) string {
	switch text, _ := reply.(serverError); {
	case strings.HasPrefix(string(text), "CLUSTERDOWN"):
		return "not served"
	case strings.HasPrefix(string(text), "CROSSSLOT"):
		return "cross slot"
	case text != "":
		return string(text)
	default:
		return reply.(string)
	}
}

func expectedRoutes(found []int, args []string, slotOf func(string) int) []string {
	if len(found) == 0 {
		return []string{"QUEUED"}
	}
	first := slotOf(args[found[0]])
	for _, k := range found {
		if slotOf(args[k]) != first {
			// Which of the two depends on the node's order of the keys.
			return []string{"cross slot", "not served"}
		}
	}
	if first > 8191 {
		return []string{"not served"}
	}
	return []string{"QUEUED"}
}

// requestsOfAllCommands names every command that Redis 7.0 has, alone and with up to six arguments.
func requestsOfAllCommands() (out [][]string) {
	values := []string{"a", "2", "b", "1", "c", "d"}
	for _, i := range std.byID {
		if i.Origin != OriginRedis || i.Since >= "7.1" {
			continue
		}
		name := strings.Split(i.Name, "|")
		for n := range len(values) + 1 {
			out = append(out, append(name[:len(name):len(name)], values[:n]...))
		}
	}
	return out
}

// randomRequests are lines of commands with movable keys, of words that matter to them.
func randomRequests(n int) (out [][]string) {
	random := rand.New(rand.NewPCG(1, 2))
	var names []string
	for _, i := range std.top {
		if i.Flags.Has(MovableKeys) && i.Origin == OriginRedis && i.Since < "7.1" {
			names = append(names, i.Name)
		}
	}
	words := strings.Fields(`a b c d e f 0 1 2 3 -1 2x +2 02 4294967298 STORE storedist Streams COUNT block group noack
		keys AUTH auth2 copy by get limit alpha withdist`)
	words = append(words, "", " 2", "9223372036854775808", "-9223372036854775808", "2\x00", "store\x00x", "keys\x00")
	for range n {
		args := []string{names[random.IntN(len(names))]}
		for range random.IntN(11) {
			args = append(args, words[random.IntN(len(words))])
		}
		out = append(out, args)
	}
	return out
}
