package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/cluster"
)

func mapOf(t *testing.T, shares []share) *cluster.Map {
	t.Helper()
	m, err := cluster.ParseSlots([]byte(slotsText(shares)), "asked:1")
	require.NoError(t, err)
	return m
}

func TestChoose(t *testing.T) {
	var (
		current = mapOf(t, three)
		newer   = mapOf(t, failedOver)
		part    = mapOf(t, three[:2])
		foreign = mapOf(t, []share{{"other/a:1", 9, 0, 16383}})
	)
	said := func(epochs map[*cluster.Map][]uint64) (answers []answer) {
		for m, all := range epochs {
			for _, e := range all {
				answers = append(answers, answer{slots: m, epoch: e})
			}
		}
		return answers
	}
	type epochs = map[*cluster.Map][]uint64
	tests := map[string]struct {
		answers epochs
		current *cluster.Map
		want    *cluster.Map
	}{
		"one":                                   {epochs{newer: {4}}, current, newer},
		"the epoch before the votes":            {epochs{newer: {4}, current: {3, 3, 3}}, current, newer},
		"the epoch before the coverage":         {epochs{part: {4}, current: {3}}, current, part},
		"the highest that one of several tells": {epochs{newer: {0, 4}, current: {3, 3}}, current, newer},
		"the coverage before the votes":         {epochs{part: {3, 3}, current: {3}}, nil, current},
		"the votes":                             {epochs{newer: {0, 0}, current: {0}}, current, newer},
		"the map in use":                        {epochs{newer: {0}, current: {0}}, current, current},
		"a lone node that covers less":          {epochs{part: {9}, current: {3, 3}}, current, current},
		"several that cover less":               {epochs{part: {9, 9}, current: {3, 3}}, current, part},
		"another cluster":                       {epochs{foreign: {9}, current: {3}}, current, current},
		"another cluster, many":                 {epochs{foreign: {9, 9, 9}, newer: {4}}, current, newer},
		"another cluster, alone":                {epochs{foreign: {9, 9, 9}}, current, foreign},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for range 10 { // in any order
				assert.True(t, tt.want.Equal(choose(opinions(said(tt.answers)), tt.current).slots))
			}
		})
	}
}

func TestNodesThatDiffer(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.all(failedOver, nodeB)
		r.trigger(causeMoved, "")
		r.until(t, 0, nodeD, 130*time.Millisecond)
		assert.EqualValues(t, 1, r.counters.disagreed.Load())
		r.questions()
		pass(settleFor / 2)
		asked, differed := len(r.questions()), r.counters.disagreed.Load()
		assert.Greater(t, differed, uint64(30), "asked again soon")
		assert.Equal(t, nodeD, r.owner(0))
		pass(settleFor)
		assert.Less(t, len(r.questions()), 3*asked/2, "for a while")
		pass(refreshEvery * 2)
		assert.Equal(t, nodeD, r.owner(0))
		r.all(failedOver, nodeA, nodeB, nodeC, nodeD)
		pass(refreshEvery * 2)
		differed = r.counters.disagreed.Load()
		pass(refreshEvery * 10)
		assert.Equal(t, differed, r.counters.disagreed.Load(), "until they agree")
	})
}

func TestADisputeEndsTheAskingWhenItIsSettled(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.all(failedOver, nodeB)
		r.trigger(causeMoved, "")
		r.until(t, 0, nodeD, 130*time.Millisecond)
		r.all(failedOver, nodeA, nodeB, nodeC, nodeD)
		pass(2 * settleMax)
		pass(watchFor)
		r.questions()
		pass(refreshEvery / 2)
		assert.Empty(t, r.questions())
	})
}

func TestADisputeWithoutEpochsKeepsTheMap(t *testing.T) {
	setup := func(n *pipeNet) []string {
		threeMasters(n)
		n.change(func(nodes map[string]*pipeNode) {
			for _, f := range nodes {
				f.noNodes = true
			}
		})
		return []string{nodeA, nodeB, nodeC}
	}
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		pass(2 * watchFor)
		r.all(failedOver, nodeB)
		r.trigger(causeMoved, nodeB)
		pass(settleFor)
		assert.GreaterOrEqual(t, int(r.counters.disagreed.Load()), int(settleFor/(settleMax+othersWait)), "asked on")
		pass(settleFor)
		assert.Equal(t, nodeA, r.owner(0), "more nodes say so")
		r.all(failedOver, nodeB, nodeC)
		r.trigger(causeMoved, nodeB)
		r.until(t, 0, nodeD, 700*time.Millisecond)
	})
}

// A node that was stopped for a while and does not know yet that it was replaced.
func TestAStaleNodeIsNotBelieved(t *testing.T) {
	setup := func(n *pipeNet) []string {
		n.all(failedOver, nodeB, nodeC, nodeD)
		n.all(three, nodeA)
		return []string{nodeB, nodeC, nodeD}
	}
	inBubble(t, setup, func(t *testing.T, r *topologyRig) {
		assert.Equal(t, nodeD, r.owner(0))
		r.trigger(causeMoved, nodeA)
		pass(time.Minute)
		assert.Equal(t, nodeD, r.owner(0), "the others know better")
		r.change(func(n map[string]*pipeNode) { n[nodeB].hung, n[nodeC].hung, n[nodeD].far = true, true, true })
		r.trigger(causeMoved, nodeA)
		pass(4 * time.Second)
		assert.Equal(t, nodeD, r.owner(0), "a lower epoch, and the others are merely silent")
	})
}

func TestALoneAnswerThatCoversLess(t *testing.T) {
	hush := func(hung bool) func(map[string]*pipeNode) {
		return func(n map[string]*pipeNode) { n[nodeA].hung, n[nodeC].hung = hung, hung }
	}
	part := []share{three[0], three[1]}
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.change(hush(true))
		r.all(part, nodeB)
		r.trigger(causeConnection, "")
		pass(4 * time.Second)
		assert.Equal(t, nodeC, r.owner(16383), "the others may know more")
		r.change(hush(false))
		pass(20 * time.Second)
		assert.Equal(t, nodeC, r.owner(16383), "and they do")
		r.all(part, nodeA)
		r.change(func(n map[string]*pipeNode) { n[nodeC].shares = part })
		r.trigger(causeMoved, "")
		r.until(t, 16383, "", time.Second)
	})
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		r.change(hush(true))
		r.all(part, nodeB)
		r.trigger(causeConnection, "")
		took := r.until(t, 16383, "", doubtFor+2*time.Second)
		assert.GreaterOrEqual(t, took, doubtFor, "it was repeated for so long")
	})
}

func TestANodeThatWasReset(t *testing.T) {
	for name, knows := range map[string][]share{
		"knows nobody":                        {{nodeB, 0, 1, 0}},
		"has a high epoch and a slot":         {{nodeB, 99, 7, 7}},
		"has a new name and all of the slots": {{"other/" + nodeB, 99, 0, 16383}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
				r.all(knows, nodeB)
				for range 30 {
					r.trigger(causeMoved, nodeB)
					r.trigger(causeConnection, "")
					pass(time.Second)
					require.True(t, mapOf(t, three).Equal(r.Map()), "%v", r.Map())
				}
			})
		})
	}
}

func TestAClusterThatWasMadeAnewIsFollowed(t *testing.T) {
	inBubble(t, threeMasters, func(t *testing.T, r *topologyRig) {
		anew := []share{{"other/" + nodeA, 1, 0, 9000}, {"other/" + nodeB, 1, 9001, 16383}}
		r.all(anew, nodeA, nodeB)
		r.change(func(n map[string]*pipeNode) { n[nodeC].down = true })
		r.trigger(causeMoved, "")
		r.until(t, 9000, nodeA, time.Second)
	})
}
