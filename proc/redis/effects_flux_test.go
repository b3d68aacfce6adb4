package redis

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/internal/testredis"
)

// flux is a cluster of three nodes whose slots move all the time, faster than real
// ones could: with each command that comes a step may be taken. It answers as Redis does.
type flux struct {
	mu     sync.Mutex // guards the following
	rng    *rand.Rand
	stores [3]keyspace
	moving map[uint16]*slotState // slots that may move, all others stay
	moves  int
	wrong  []string
}

type slotState struct {
	owner  int
	target int       // -1: it does not move
	since  time.Time // when it got its owner
}

// fluxRest is how long a slot stays with an owner at least: a slot that is away and back
// within the time that a reply is on its way is more than anybody could follow.
const fluxRest = 30 * time.Millisecond

// staticOwner is what slotsReply says of three nodes.
func staticOwner(slot uint16) int {
	for i := range 2 {
		if int(slot) < (i+1)*16384/3 {
			return i
		}
	}
	return 2
}

func newFlux(seed uint64, slots ...uint16) *flux {
	f := &flux{rng: rand.New(rand.NewPCG(seed, 1)), stores: [3]keyspace{{}, {}, {}}, moving: map[uint16]*slotState{}}
	for _, slot := range slots {
		f.moving[slot] = &slotState{owner: staticOwner(slot), target: -1}
	}
	return f
}

func (f *flux) script(nodes []*wireNode, c *wireConn, args []string) {
	reply, yields := f.answer(nodes, c.at, args, c.asked())
	for range yields { // one node is slower than the other
		runtime.Gosched()
	}
	c.say(reply)
}

func (f *flux) answer(nodes []*wireNode, at int, args []string, asked bool) (reply string, yields int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rng.IntN(20) == 0 {
		f.step(nodes)
	}
	keys := effectsKeys(args)
	slot := testredis.Slot(keys[0])
	present := map[string]bool{}
	for _, k := range keys {
		if testredis.Slot(k) != slot {
			f.wrong = append(f.wrong, "CROSSSLOT: "+strings.Join(args, " "))
		}
		present[k] = f.stores[at][k] != nil
	}
	missing := 0
	for _, there := range present {
		missing += int(oneIf(!there))
	}
	st := f.moving[slot]
	if st == nil {
		st = &slotState{owner: staticOwner(slot), target: -1}
	}
	switch {
	case at == st.owner && st.target >= 0 && missing == len(present):
		return redirectTo("ASK", args, nodes[st.target]), f.rng.IntN(20)
	case at == st.owner && st.target >= 0 && missing > 0, at == st.target && asked && missing > 0 && len(present) > 1:
		for range f.rng.IntN(8) { // or it would take a while
			f.step(nodes)
		}
		return tryAgainReply, 0
	case at != st.owner && (at != st.target || !asked):
		return redirectTo("MOVED", args, nodes[st.owner]), f.rng.IntN(20)
	}
	if at != st.owner {
		for _, k := range keys {
			if f.stores[st.owner][k] != nil {
				f.wrong = append(f.wrong, fmt.Sprintf("an ASK was followed when it did not hold any more, %s is where it was: %q", k, args))
			}
		}
	}
	return wireForm(f.stores[at].do(args)), f.rng.IntN(5)
}

// step opens a slot, moves one of its keys, or gives it to its new owner.
func (f *flux) step(nodes []*wireNode) {
	for slot, st := range f.moving {
		if st.target < 0 {
			if time.Since(st.since) < fluxRest {
				continue
			}
			st.target = (st.owner + 1 + f.rng.IntN(2)) % 3
			return
		}
		for k, v := range f.stores[st.owner] {
			if testredis.Slot(k) == slot {
				f.stores[st.target][k] = v
				delete(f.stores[st.owner], k)
				return
			}
		}
		st.owner, st.target, st.since = st.target, -1, time.Now()
		f.moves++
		f.publish(nodes)
		return
	}
}

// publish makes the nodes tell the owners of all slots.
func (f *flux) publish(nodes []*wireNode) {
	var entries strings.Builder
	n := 0
	entry := func(first, last, owner int) {
		if first > last {
			return
		}
		n++
		fmt.Fprintf(&entries, "*3\r\n:%d\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$40\r\n%040d\r\n", first, last, nodes[owner].Port, nodes[owner].Port)
	}
	for i := range 3 {
		first := i * 16384 / 3
		for slot := first; slot < (i+1)*16384/3; slot++ {
			if st := f.moving[uint16(slot)]; st != nil {
				entry(first, slot-1, i)
				entry(slot, slot, st.owner)
				first = slot + 1
			}
		}
		entry(first, (i+1)*16384/3-1, i)
	}
	reply := fmt.Sprintf("*%d\r\n%s", n, entries.String())
	for _, node := range nodes {
		node.slots.Store(&reply)
	}
}

func TestEffectsKeepTheirOrderInAClusterThatIsAlwaysMoving(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			const slot = 4248
			f := newFlux(seed, slot, 2000, 14000)
			nodes := startWires(t, 3, 3, f.script)
			p := startProxy(t, proxyOptions{loops: 1 + int(seed%2)}, nodes[0].Addr).ready(t)
			var actors []*actor
			for i := range 4 {
				a := newActor(t, p.Addr, fmt.Sprintf("session%d-", i), slot, seed*10+uint64(i), false)
				a.redirect = true
				actors = append(actors, a)
			}
			on := perform(t, actors...)
			on.goesOn(t, 20)
			on.end()
			f.mu.Lock()
			defer f.mu.Unlock()
			assert.Empty(t, f.wrong)
			t.Log(f.moves, "moves")
			for _, a := range actors {
				t.Logf("%s: %d commands, %d TRYAGAIN, %d hops used up", a.name, a.commands, a.refused, a.bounced)
				for _, k := range a.strings {
					for i := range f.stores {
						if v := f.stores[i][k]; v != nil {
							assert.Equal(t, a.model[k], v, "%s on node %d", k, i)
						}
					}
				}
			}
		})
	}
}
