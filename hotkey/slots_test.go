package hotkey

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func slotNumbers(list []Slot) (all []int) {
	for _, s := range list {
		all = append(all, s.Slot)
	}
	return all
}

func TestHottestSlotsOfTheLastInterval(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a", "b")
	for i := range 40 {
		for range i + 1 {
			r.sites[i%2].slots.Request(uint16(400*i), i%3 == 0, 100-i, 1)
		}
	}
	r.sites[0].slots.Request(16383, true, 10, 5)
	r.sites[1].slots.Request(16383, false, 10, 100)
	r.sites[1].slots.Replied(16383, 1_000_000)
	r.sites[0].slots.Replied(7, 2_000_000) // its request was in the interval before
	rep := r.end(2 * time.Second)
	require.Len(t, rep.SlotsByRequests, 16)
	require.Len(t, rep.SlotsByBytes, 16)
	assert.Equal(t, Slot{Slot: 16383, Requests: 105, Writes: 5, Bytes: 1_001_050, QPS: 52.5}, rep.SlotsByRequests[0])
	assert.Equal(t, []int{16383, 39 * 400, 38 * 400, 37 * 400}, slotNumbers(rep.SlotsByRequests)[:4])
	assert.Equal(t, Slot{Slot: 39 * 400, Requests: 40, Writes: 40, Bytes: 40 * 61, QPS: 20}, rep.SlotsByRequests[1])
	assert.Equal(t, []int{7, 16383}, slotNumbers(rep.SlotsByBytes)[:2])
	for i := 1; i < 16; i++ {
		assert.GreaterOrEqual(t, rep.SlotsByRequests[i-1].Requests, rep.SlotsByRequests[i].Requests)
		assert.GreaterOrEqual(t, rep.SlotsByBytes[i-1].Bytes, rep.SlotsByBytes[i].Bytes)
	}
	r.sites[0].slots.Request(3, false, 0, 1)
	rep = r.end(time.Second)
	assert.Equal(t, []Slot{{Slot: 3, Requests: 1, QPS: 1}}, rep.SlotsByRequests)
	assert.Empty(t, rep.SlotsByBytes, "it has moved nothing")
	assert.Empty(t, r.end(time.Second).SlotsByRequests)
}

func TestSlotsOfEqualHeatAreInTheirOrder(t *testing.T) {
	r := newRig(Options{}, "a")
	for slot := range uint16(100) {
		r.sites[0].slots.Request(slot, false, 1, 1)
	}
	got := slotNumbers(r.end(time.Second).SlotsByRequests)
	assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, got)
}

func TestClearedSlotsAreEmpty(t *testing.T) {
	s := new(Slots)
	s.Request(1, true, 100, 3)
	s.Replied(1, 5)
	assert.Equal(t, slotCount{requests: 3, writes: 3, bytes: 305}, s.slots[1])
	s.Clear()
	assert.Equal(t, new(Slots), s)
	s.Replied(9, 5) // the reply to a request of the interval before
	s.Clear()
	assert.Equal(t, new(Slots), s)
}
