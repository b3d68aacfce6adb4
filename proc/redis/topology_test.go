package redis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/cluster"
)

func TestTheFirstMapIsWhatSeveralNodesSay(t *testing.T) {
	setup := func(n *pipeNet) []string { threeMasters(n); return []string{nodeB} }
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.Equal(t, nodeA, r.owner(0))
		assert.Equal(t, "7.0.15", r.Version())
		require.NoError(t, r.Err())
		asked := r.questions()
		assert.Equal(t, nodeB, asked[0], "the seed")
		assert.ElementsMatch(t, []string{nodeA, nodeB, nodeC}, asked[1:], "then those that it names, and itself for the epochs")
		pass(refreshEvery * 5 / 4)
		assert.Len(t, r.questions(), 1, "after that one a minute")
	})
}

func TestWhatIsAskedForWhichReason(t *testing.T) {
	tests := []struct {
		cause cause
		hint  string
		want  int
	}{
		{causeConnection, "", 1},
		{causeNodeState, "", 1},
		{causeSeeds, "", 1},
		{causeMoved, "", 1 + 3},
		{causeMoved, nodeD, 1 + 4},
		{causeUncovered, "", 1 + 3},
	}
	for _, tt := range tests {
		t.Run(string(tt.cause)+" "+tt.hint, func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				r.questions()
				r.trigger(tt.cause, tt.hint)
				pass(200 * time.Millisecond)
				asked := r.questions()
				assert.Len(t, asked, tt.want)
				if tt.hint != "" {
					assert.Equal(t, tt.hint, asked[0])
				}
			})
		})
	}
}

func TestAChangeIsFollowedAtOnce(t *testing.T) {
	tests := map[string]struct {
		hurt  func(nodes map[string]*pipeNode)
		cause cause
		hint  string
		limit time.Duration
	}{
		"MOVED with a hint":                 {nil, causeMoved, nodeD, 130 * time.Millisecond},
		"MOVED without":                     {nil, causeMoved, "", 130 * time.Millisecond},
		"lost connection, the master down":  {func(n map[string]*pipeNode) { n[nodeA].down = true }, causeConnection, "", 430 * time.Millisecond},
		"CLUSTERDOWN, the master hung":      {func(n map[string]*pipeNode) { n[nodeA].hung = true }, causeNodeState, "", 630 * time.Millisecond},
		"uncovered, the master far":         {func(n map[string]*pipeNode) { n[nodeA].far = true }, causeUncovered, "", 630 * time.Millisecond},
		"MOVED, the hint is hung":           {func(n map[string]*pipeNode) { n[nodeD].hung = true }, causeMoved, nodeD, 630 * time.Millisecond},
		"MOVED, the hint does not exist":    {nil, causeMoved, "nowhere:1", 130 * time.Millisecond},
		"MOVED, only the new owner answers": {func(n map[string]*pipeNode) { n[nodeA].hung, n[nodeB].hung, n[nodeC].far = true, true, true }, causeMoved, nodeD, 430 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				pass(5 * time.Second)
				r.all(failedOver, nodeA, nodeB, nodeC, nodeD)
				if tt.hurt != nil {
					r.change(tt.hurt)
				}
				r.trigger(tt.cause, tt.hint)
				t.Log("followed within", r.until(t, 0, nodeD, tt.limit))
			})
		})
	}
}

// A node that was promoted tells the others; until then all say the old thing.
func TestAFailoverIsFollowedAfterTrouble(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.change(func(n map[string]*pipeNode) { n[nodeA].hung = true })
		r.trigger(causeConnection, "")
		pass(20 * time.Second)
		assert.Equal(t, nodeA, r.owner(0))
		r.all(failedOver, nodeB, nodeC, nodeD)
		t.Log("followed within", r.until(t, 0, nodeD, 900*time.Millisecond))
	})
}

func TestWatchfulnessEnds(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.questions()
		r.trigger(causeConnection, "")
		pass(watchFor)
		asked := len(r.questions())
		assert.GreaterOrEqual(t, asked, int(watchFor/watchMax)-2)
		assert.LessOrEqual(t, asked, int(watchFor/watchMin)+2)
		pass(time.Second)
		r.questions()
		pass(10 * refreshEvery)
		assert.InDelta(t, 10, len(r.questions()), 4)
	})
}

func TestTheMapIsWatchedAfterAChange(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.all(failedOver, nodeA, nodeB, nodeC, nodeD)
		r.trigger(causeMoved, nodeD)
		r.until(t, 0, nodeD, 130*time.Millisecond)
		r.questions()
		pass(watchFor / 2)
		assert.Greater(t, len(r.questions()), int(watchFor/2/watchMax)-2, "more may come, such as a replica")
	})
}

func TestUncoveredSlotsAreWatched(t *testing.T) {
	setup := func(n *pipeNet) []string { n.all(three[:2], nodeA, nodeB); return []string{nodeA} }
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.Equal(t, 10001, r.Map().Covered(), "a part is better than nothing")
		pass(2 * watchFor)
		r.all(three, nodeA, nodeB)
		r.until(t, 16383, nodeC, watchMax+othersWait)
	})
}

func TestASilentNodeIsAskedLast(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.change(func(n map[string]*pipeNode) { n[nodeA].far = true })
		r.trigger(causeMoved, nodeA)
		pass(time.Second)
		r.questions()
		for range 20 {
			r.trigger(causeConnection, "")
			pass(watchMax)
		}
		assert.NotContains(t, r.questions(), nodeA)
	})
}

func TestAStormOfReasonsIsFewQuestions(t *testing.T) {
	for _, moving := range []bool{false, true} {
		t.Run(fmt.Sprintf("slots move: %v", moving), func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				r.questions()
				before := r.counters.total.Load()
				const seconds = 10
				for i := range seconds * 1000 {
					for _, c := range []cause{causeMoved, causeConnection, causeUncovered, causeNodeState, causeMoved} {
						r.trigger(c, "")
						r.trigger(c, nodeB)
					}
					if moving && i%100 == 0 {
						r.all([]share{{nodeA, 1, 0, i}, {nodeB, 10 + i, i + 1, 10000}, {nodeC, 3, 10001, 16383}}, nodeA, nodeB, nodeC)
					}
					pass(time.Millisecond)
				}
				limit := seconds * 4
				if moving {
					limit = seconds * 14
				}
				assert.LessOrEqual(t, int(r.counters.total.Load()-before), limit)
				assert.LessOrEqual(t, len(r.questions()), limit*(2+askOthers))
			})
		})
	}
}

func TestTheStrongestReasonCounts(t *testing.T) {
	tp := newTopology(nil, nil, nil)
	tp.trigger(causeConnection, "")
	tp.trigger(causeMoved, "")
	tp.trigger(causeMoved, "first:1")
	tp.trigger(causeMoved, "second:1")
	tp.trigger(causeNodeState, "third:1")
	assert.Equal(t, wish{causeMoved, "first:1"}, tp.take())
	assert.Equal(t, wish{}, tp.take())
	assert.Len(t, tp.wake, 1)
}

func TestTriggerCostsNothing(t *testing.T) {
	tp := newTopology(nil, nil, nil)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { tp.trigger(causeMoved, "a:1"); tp.trigger(causeConnection, "") }))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { tp.trigger(causeMoved, "a:1"); tp.take() }))
}

func TestTheOrderOfQuestions(t *testing.T) {
	reply := "*1\r\n*5\r\n:0\r\n:16383\r\n" +
		"*3\r\n$1\r\nm\r\n:1\r\n$1\r\nm\r\n" + "*3\r\n$1\r\nr\r\n:1\r\n$1\r\nr\r\n" + "*3\r\n$1\r\ns\r\n:1\r\n$1\r\ns\r\n"
	m, err := cluster.ParseSlots([]byte(reply), "x:1")
	require.NoError(t, err)
	tp := newTopology(nil, []string{"seed:1", "m:1"}, nil)
	tp.silent["s:1"] = time.Now()
	tp.silent["r:1"] = time.Now().Add(-2 * watchFor)
	assert.Equal(t, []string{"h:1", "m:1", "seed:1", "r:1", "s:1"}, tp.order(m, wish{causeMoved, "h:1"}))
	seeds := tp.order(m, wish{cause: causeSeeds})
	slices.Sort(seeds[:2])
	assert.Equal(t, []string{"m:1", "seed:1", "r:1", "s:1"}, seeds)
	tp.silent["h:1"] = time.Now()
	assert.Equal(t, "m:1", tp.order(m, wish{causeMoved, "h:1"})[0])
	assert.Empty(t, newTopology(nil, nil, nil).order(nil, wish{}))
}

func TestNewSeedsAreBelieved(t *testing.T) {
	other := []share{{"x:1", 1, 0, 8000}, {"y:1", 1, 8001, 16383}}
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.all(other, "x:1", "y:1")
		r.SetSeeds([]string{"x:1"})
		r.until(t, 0, "x:1", 200*time.Millisecond)
		r.trigger(causeMoved, nodeA)
		pass(time.Minute)
		assert.Equal(t, "x:1", r.owner(0), "nodes of the old cluster count no more")
	})
}

func TestSeedsThatComeLater(t *testing.T) {
	setup := func(n *pipeNet) []string { return []string{nodeA, nodeB} }
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.Nil(t, r.Map())
		require.ErrorContains(t, r.Err(), "dial a:1: connection refused")
		require.ErrorContains(t, r.Err(), "dial b:1: connection refused")
		pass(2 * watchFor)
		assert.Equal(t, r.counters.total.Load(), r.counters.failure.Load())
		threeMasters(r.pipeNet)
		r.until(t, 0, nodeA, watchMax+10*time.Millisecond)
		assert.NoError(t, r.Err())
	})
}

func TestWithoutSeedsThereIsAReason(t *testing.T) {
	setup := func(*pipeNet) []string { return nil }
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.ErrorContains(t, r.Err(), "no endpoints")
	})
}
