package hotkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a collector knows goes to another process as JSON (RFC 8259) in the following
// shape. Names of keys are in base64, as they may have any bytes. Hashes do not go along:
// they mean something in one process only. Nor do numbers of commands and clients, whose
// names do.
const (
	savedFormat  = "samaritan hot keys"
	savedVersion = 1

	maxSaved     = 64 << 20 // bytes
	maxSavedKeys = 1 << 16
)

type saved struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	Intervals []savedInterval `json:"intervals"` // the newest last; that one is being filled
	Keys      []savedKey      `json:"keys,omitempty"`
	Slots     []savedSlot     `json:"slots,omitempty"` // of the last interval
	Values    []savedValue    `json:"values,omitempty"`
	Report    savedReport     `json:"report"` // the one that is published
}

type savedInterval struct {
	Start     time.Time    `json:"start,omitzero"`
	End       time.Time    `json:"end,omitzero"`
	Sampled   uint64       `json:"sampled,omitempty"`
	Weighted  uint64       `json:"weighted,omitempty"`
	Forgotten uint64       `json:"forgotten,omitempty"`
	Places    []savedPlace `json:"places,omitempty"`
}

// savedPlace is of an interval, with its hits, or of a key, with those of the key.
type savedPlace struct {
	Name  string `json:"name"`
	Hits  uint64 `json:"hits,omitempty"`
	Floor uint64 `json:"floor,omitempty"`
}

type savedKey struct {
	Name   []byte       `json:"name"`
	Length int          `json:"length"`
	Node   string       `json:"node,omitempty"`
	Slot   uint16       `json:"slot,omitempty"`
	Heat   uint8        `json:"heat,omitempty"`
	Halved int          `json:"halved,omitempty"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	Peak   float64      `json:"peak,omitempty"`
	Counts []savedCount `json:"counts"` // by interval
}

type savedCount struct {
	Count    uint64       `json:"count,omitempty"`
	Error    uint64       `json:"error,omitempty"`
	Reads    uint64       `json:"reads,omitempty"`
	Writes   uint64       `json:"writes,omitempty"`
	In       uint64       `json:"in,omitempty"`
	Out      uint64       `json:"out,omitempty"`
	Variance float64      `json:"variance,omitempty"`
	Places   []savedPlace `json:"places,omitempty"`
	Commands []Part       `json:"commands,omitempty"`
	Clients  []Part       `json:"clients,omitempty"`
}

type savedSlot struct {
	Slot     int    `json:"slot"`
	Requests uint64 `json:"requests,omitempty"`
	Writes   uint64 `json:"writes,omitempty"`
	Bytes    uint64 `json:"bytes,omitempty"`
}

// savedValue and savedListed show the name in base64 in the place of a text.
type savedValue struct {
	Raw []byte `json:"key"`
	Value
}

type savedListed struct {
	Raw []byte `json:"key"`
	Key
}

type savedReport struct {
	Time            time.Time     `json:"time,omitzero"`
	Interval        time.Duration `json:"interval,omitempty"` // nanoseconds
	Window          time.Duration `json:"window,omitempty"`
	Hits            uint64        `json:"hits,omitempty"`
	QPS             float64       `json:"qps,omitempty"`
	SampleRate      float64       `json:"sample_rate,omitempty"`
	Tracked         int           `json:"tracked,omitempty"`
	Keys            []savedListed `json:"keys,omitempty"`
	SlotsByRequests []Slot        `json:"slots_by_requests,omitempty"`
	SlotsByBytes    []Slot        `json:"slots_by_bytes,omitempty"`
	Values          []savedValue  `json:"values,omitempty"`
}

// decodeSaved reads and checks what Export has written.
func decodeSaved(data []byte) (*saved, error) {
	if len(data) > maxSaved {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), maxSaved)
	}
	s := new(saved)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	switch {
	case s.Format != savedFormat:
		return nil, errors.New("this is no state of hot keys")
	case s.Version != savedVersion:
		return nil, fmt.Errorf("version %d is not known", s.Version)
	}
	return s, s.check()
}

func (s *saved) check() error {
	switch {
	case len(s.Intervals) == 0 || len(s.Intervals) > maxIntervals:
		return fmt.Errorf("%d intervals", len(s.Intervals))
	case len(s.Keys) > maxSavedKeys || len(s.Report.Keys) > maxSavedKeys:
		return errors.New("too many keys")
	case len(s.Values) > 2*LargestKept || len(s.Report.Values) > LargestKept:
		return errors.New("too many values")
	}
	for i := range s.Slots {
		if err := checkSlot(s.Slots[i].Slot); err != nil {
			return err
		}
	}
	seen := make(map[uint64]bool, len(s.Keys))
	for i := range s.Keys {
		k := &s.Keys[i]
		if err := s.checkKey(k); err != nil {
			return err
		}
		if seen[k.hash()] {
			return fmt.Errorf("key %v is there twice", Name(k.Name))
		}
		seen[k.hash()] = true
	}
	for i := range s.Values {
		if err := s.Values[i].check(); err != nil {
			return err
		}
	}
	return s.Report.check()
}

func (s *saved) checkKey(k *savedKey) error {
	if err := checkName(k.Name, k.Length, int(k.Slot)); err != nil {
		return err
	}
	if len(k.Counts) != len(s.Intervals) || k.Halved < 0 || k.Peak < 0 {
		return fmt.Errorf("key %v has numbers that cannot be", Name(k.Name))
	}
	for i := range k.Counts {
		if k.Counts[i].Variance < 0 {
			return fmt.Errorf("key %v has numbers that cannot be", Name(k.Name))
		}
	}
	return nil
}

func (k *savedKey) hash() uint64 { return hashOfSaved(k.Name, k.Length, int(k.Slot)) }

func (v *savedValue) check() error {
	if v.Size < 0 {
		return fmt.Errorf("a value of %d bytes", v.Size)
	}
	return checkName(v.Raw, v.Length, v.Slot)
}

func (r *savedReport) check() error {
	if r.Interval < 0 || r.Window < 0 || r.QPS < 0 || r.Tracked < 0 || r.SampleRate < 0 || r.SampleRate > 1 {
		return errors.New("a report with numbers that cannot be")
	}
	if len(r.SlotsByRequests) > slotsListed || len(r.SlotsByBytes) > slotsListed {
		return errors.New("a report with too many slots")
	}
	for _, slot := range slices.Concat(r.SlotsByRequests, r.SlotsByBytes) {
		if err := checkSlot(slot.Slot); err != nil {
			return err
		}
	}
	for i := range r.Keys {
		if err := checkName(r.Keys[i].Raw, r.Keys[i].Length, r.Keys[i].Slot); err != nil {
			return err
		}
	}
	for i := range r.Values {
		if err := r.Values[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func checkSlot(slot int) error {
	if slot < 0 || slot >= SlotCount {
		return fmt.Errorf("there is no slot %d", slot)
	}
	return nil
}

// checkName holds a name to what is kept of a key of that length.
func checkName(name []byte, length, slot int) error {
	whole := len(name) == length && length <= KeyMax
	cut := length > KeyMax && length <= math.MaxUint32 && len(name) > KeyMax-4 && len(name) <= KeyMax
	if !whole && !cut {
		return fmt.Errorf("a key of %d bytes with a name of %d", length, len(name))
	}
	return checkSlot(slot)
}
