package redis

import (
	"cmp"
	"context"
	"time"

	"samaritan/proc/redis/cluster"
)

// doubtFor is how long a doubtful map has to be repeated until it is believed.
const doubtFor = 5 * time.Second

// opinion is a map that one or more nodes gave.
type opinion struct {
	slots *cluster.Map
	from  string // the first of those nodes
	epoch uint64 // the highest that one of them told, 0 for none
	votes int
}

// doubt is a map that was chosen and not believed; slots is nil when there is none.
type doubt struct {
	slots *cluster.Map
	since time.Time
}

// decide asks several nodes, the one that answered first among them, and adopts the
// best map that they give, or keeps the one in use.
func (t *topology) decide(ctx context.Context, first answer, why wish) {
	addrs := t.jury(first, why)
	answers := t.askSeveral(ctx, addrs, min(max(othersWait, 2*first.took), othersMax))
	if ctx.Err() != nil {
		return
	}
	if !hasAnswer(answers, first.from) {
		answers = append(answers, first)
	}
	current := t.Map()
	all := opinions(answers)
	best := choose(all, current)
	t.noteDispute(all, best)
	if t.doubtful(best, len(addrs), why) {
		return
	}
	t.doubt = doubt{}
	t.adopt(best, why)
}

// jury lists the nodes to ask: the one that answered first and some others.
func (t *topology) jury(first answer, why wish) []string {
	known := t.Map()
	if known == nil || why.cause == causeSeeds {
		known = first.slots
	}
	addrs := []string{first.from}
	for _, addr := range t.order(known, wish{}) {
		if addr != first.from && len(addrs) <= askOthers {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func hasAnswer(answers []answer, from string) bool {
	for i := range answers {
		if answers[i].from == from {
			return true
		}
	}
	return false
}

// opinions puts equal maps together.
func opinions(answers []answer) []opinion {
	var all []opinion
next:
	for _, a := range answers {
		for i := range all {
			if all[i].slots.Equal(a.slots) {
				all[i].votes++
				all[i].epoch = max(all[i].epoch, a.epoch)
				continue next
			}
		}
		all = append(all, opinion{slots: a.slots, from: a.from, epoch: a.epoch, votes: 1})
	}
	return all
}

// choose returns the best of one or more opinions.
//
// A map of our own cluster is better than that of another one, which has taken over
// the address of a node. Then come the higher config epoch, as in the cluster itself,
// the better coverage, the votes, and the map in use, which may be nil.
//
// A map that a single node gives does not count when it covers less than one that
// several agree on. It comes from a node that was reset or forgotten, and which may
// have a high epoch nevertheless.
func choose(all []opinion, current *cluster.Map) opinion {
	ours := func(o opinion) int { return btoi(current == nil || current.SameCluster(o.slots)) }
	var best opinion
	for _, o := range all {
		if outvoted(o, all) {
			continue
		}
		if best.slots == nil || cmp.Or(
			cmp.Compare(ours(o), ours(best)),
			cmp.Compare(o.epoch, best.epoch),
			cmp.Compare(o.slots.Covered(), best.slots.Covered()),
			cmp.Compare(o.votes, best.votes),
			btoi(o.slots.Equal(current)),
		) > 0 {
			best = o
		}
	}
	return best
}

func outvoted(o opinion, all []opinion) bool {
	for _, other := range all {
		if o.votes == 1 && other.votes > 1 && o.slots.Covered() < other.slots.Covered() {
			return true
		}
	}
	return false
}

// doubtful tells whether a map, although the best, is not to be taken up yet: at most
// half of the nodes asked give it, and it is worse than the one in use. That is, it is
// of another cluster, or of a lower config epoch, or it covers less without a higher
// epoch. The others may be merely out of reach. It is believed when it was the best of
// all answers for doubtFor, as slots may be given up on purpose; and at once when it
// comes from new seeds and covers no less.
func (t *topology) doubtful(best opinion, asked int, why wish) bool {
	current := t.Map()
	if current == nil || current.Equal(best.slots) || 2*best.votes > asked {
		return false
	}
	less := best.slots.Covered() < current.Covered()
	worse := best.epoch < t.epoch || best.epoch == t.epoch && less || !current.SameCluster(best.slots)
	if !worse || why.cause == causeSeeds && !less {
		return false
	}
	now := time.Now()
	if t.doubt.slots == nil || !t.doubt.slots.Equal(best.slots) {
		if t.doubt.slots == nil {
			t.log.Info("slot map is doubtful, asking on", "from", best.from, "votes", best.votes, "asked", asked,
				"slots", best.slots.Covered(), "epoch", best.epoch)
		}
		t.doubt = doubt{best.slots, now}
	}
	return now.Sub(t.doubt.since) < doubtFor
}

// noteDispute keeps the time since when nodes differ.
func (t *topology) noteDispute(all []opinion, best opinion) {
	if len(all) == 1 {
		t.disputeAt = time.Time{}
		return
	}
	t.counters.disagreed.Add(1)
	if t.disputeAt.IsZero() {
		t.disputeAt = time.Now()
		t.log.Info("nodes differ about the slot map", "maps", len(all), "from", best.from, "votes", best.votes, "epoch", best.epoch)
	}
}

// adopt makes a map the one in use.
func (t *topology) adopt(best opinion, why wish) {
	known := t.Map().Equal(best.slots)
	if best.epoch > 0 || !known {
		t.epoch = best.epoch
	}
	if known {
		return
	}
	if t.current.Swap(best.slots) != nil { // a start is no unrest
		t.unrestAt = time.Now()
	}
	t.log.Info("slot map changed", "reason", string(why.cause), "from", best.from, "nodes", len(best.slots.Nodes()),
		"slots", best.slots.Covered(), "epoch", best.epoch)
	t.publish(best.slots)
}
