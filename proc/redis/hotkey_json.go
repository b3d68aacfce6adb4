package redis

import (
	"time"

	"samaritan/hotkey"
	"samaritan/proc/redis/cluster"
)

// hotKeysView is what is shown of a service's hot keys as JSON. Lists are never null.
type hotKeysView struct {
	Service         string         `json:"service"`
	Enabled         bool           `json:"enabled"`
	Time            time.Time      `json:"time,omitzero"` // when the interval ended; absent before the first has
	IntervalMS      int64          `json:"interval_ms"`
	WindowMS        int64          `json:"window_ms"`
	Hits            uint64         `json:"hits"`
	QPS             float64        `json:"qps"`
	SampleRate      float64        `json:"sample_rate"`
	Tracked         int            `json:"tracked"`
	Keys            []hotkey.Key   `json:"keys"`
	SlotsByRequests []hotkey.Slot  `json:"slots_by_requests"`
	SlotsByBytes    []hotkey.Slot  `json:"slots_by_bytes"`
	LargestValues   []hotkey.Value `json:"largest_values"`
}

// HotKeys is the report of the last interval, for people and tools: a value to be
// shown as JSON. It has at most count keys, all if count is 0. While hot keys are
// switched off it is empty. It may be called by any goroutine.
func (p *Proc) HotKeys(count int) any {
	if !p.settings.Load().hot.enable {
		return newHotKeysView(p.name, false, noHotKeys, count, nil)
	}
	return newHotKeysView(p.name, true, p.hotKeys(), count, p.topology.Map())
}

// newHotKeysView copies what it changes: the report belongs to others. m may be nil.
func newHotKeysView(service string, enabled bool, r *hotkey.Report, count int, m *cluster.Map) *hotKeysView {
	return &hotKeysView{
		Service: service, Enabled: enabled, Time: r.Time.UTC(),
		IntervalMS: r.Interval.Milliseconds(), WindowMS: r.Window.Milliseconds(),
		Hits: r.Hits, QPS: r.QPS, SampleRate: r.SampleRate, Tracked: r.Tracked,
		Keys:            keysForJSON(first(r.Keys, count)),
		SlotsByRequests: slotsForJSON(r.SlotsByRequests, m),
		SlotsByBytes:    slotsForJSON(r.SlotsByBytes, m),
		LargestValues:   valuesForJSON(r.Values),
	}
}

// notNull makes a copy of a list that is shown as [] when it is empty.
func notNull[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }

func keysForJSON(keys []hotkey.Key) []hotkey.Key {
	keys = notNull(keys)
	for i := range keys {
		k := &keys[i]
		k.Commands, k.Clients = notNull(k.Commands), notNull(k.Clients)
		k.FirstSeen, k.LastSeen = k.FirstSeen.UTC(), k.LastSeen.UTC()
	}
	return keys
}

func slotsForJSON(slots []hotkey.Slot, m *cluster.Map) []hotkey.Slot {
	slots = notNull(slots)
	for i := range slots {
		slots[i].Node = masterOf(m, slots[i].Slot)
	}
	return slots
}

func valuesForJSON(values []hotkey.Value) []hotkey.Value {
	values = notNull(values)
	for i := range values {
		values[i].Seen = values[i].Seen.UTC()
	}
	return values
}

// masterOf returns the address of the master of a slot, "" when there is none. m may
// be nil.
func masterOf(m *cluster.Map, slot int) string {
	if m == nil {
		return ""
	}
	i := m.Master(uint16(slot))
	if i < 0 {
		return ""
	}
	return m.Nodes()[i].Addr
}
