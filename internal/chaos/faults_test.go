package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFaultsAreNamedAndExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Faults() {
		assert.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), f.Name)
		assert.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		assert.True(t, strings.HasSuffix(f.Help, "."), f.Help)
		assert.Equal(t, 1, strings.Count(f.Help+" ", ". "), "%s: one sentence", f.Help)
		assert.NotContains(t, f.Help, "|", "it goes to a table")
		assert.NotNil(t, f.Inflict, f.Name)
	}
	assert.Equal(t, "calm", Faults()[0].Name)
}

func TestLiesAreMadeOfTheTruth(t *testing.T) {
	node := []any{"127.0.0.1", int64(7000), "id", []any{}}
	slots := []any{
		[]any{int64(0), int64(5460), node},
		[]any{int64(5461), int64(16383), append([]any{"::1"}, node[1:]...), nil},
	}
	const one, two = "*3\r\n:0\r\n:5460\r\n*4\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n*0\r\n",
		"*4\r\n:5461\r\n:16383\r\n*4\r\n$3\r\n::1\r\n:7000\r\n$2\r\nid\r\n*0\r\n$-1\r\n"
	truth := string(encode(nil, slots))
	require.Equal(t, "*2\r\n"+one+two, truth)
	random := rand.New(rand.NewPCG(1, 2))
	for _, l := range append(append([]lie{}, malformed...), wrong...) {
		for range 50 {
			a := l.tell(slots, random)
			reply := string(a.Reply)
			require.NotEqual(t, truth, reply, l.name)
			switch l.name {
			case "partial":
				require.Contains(t, []string{"*1\r\n" + one, "*1\r\n" + two}, reply)
			case "half":
				require.True(t, strings.HasPrefix(truth, reply) && a.Close)
			case "each other's":
				require.Len(t, reply, len(truth))
			}
		}
	}
	require.Equal(t, truth, string(encode(nil, slots)), "the truth is untouched")
}

func TestWaitingForSomethingEnds(t *testing.T) {
	never := errors.New("not yet")
	err := eventually(t.Context(), 20*time.Millisecond, func() error { return never })
	require.ErrorIs(t, err, never)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	n := 0
	require.NoError(t, eventually(t.Context(), peerTimeout, func() error {
		if n++; n < 3 {
			return never
		}
		return nil
	}))
	e := &Env{Scale: 0.001}
	require.ErrorIs(t, e.until(t.Context(), peerTimeout, func() error { return never }), never)
	require.NoError(t, e.until(t.Context(), time.Second, func() error { return nil }))
}

func TestKeysOfBadClientsAreInTheirSlots(t *testing.T) {
	for shard := range Shards {
		slots := ShardSlots(shard)
		require.Len(t, slots, shardSlots)
		require.EqualValues(t, shard*5461+100, slots[0])
		require.EqualValues(t, slots[0]+shardSlots-1, slots[shardSlots-1])
		require.NotEmpty(t, keyOf(slots[0]))
	}
}
