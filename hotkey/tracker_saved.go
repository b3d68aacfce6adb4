package hotkey

import (
	"encoding/json"
	"errors"
	"fmt"
)

// MaxTracked is how many keys of each measure a [Tracked] takes to another process.
const MaxTracked = 1024

// savedTracked is a Tracked as JSON, with names in base64.
type savedTracked struct {
	All      Usage           `json:"all"`
	Selected Usage           `json:"selected"`
	Sampled  Usage           `json:"sampled"`
	ByCost   []savedWeighted `json:"by_cost,omitzero"`
	ByBytes  []savedWeighted `json:"by_bytes,omitzero"`
}

type savedWeighted struct {
	Name   []byte `json:"name"`
	Length int    `json:"length"`
	Weight uint64 `json:"weight"`
}

// MarshalJSON encodes at most MaxTracked keys of each measure.
func (m *Tracked) MarshalJSON() ([]byte, error) {
	return json.Marshal(&savedTracked{m.All, m.Selected, m.Sampled, saveWeighted(m.ByCost), saveWeighted(m.ByBytes)})
}

// UnmarshalJSON decodes what MarshalJSON has written. With an error nothing has changed.
func (m *Tracked) UnmarshalJSON(data []byte) error {
	var s savedTracked
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	byCost, err := loadWeighted(s.ByCost)
	if err != nil {
		return fmt.Errorf("keys by cost: %w", err)
	}
	byBytes, err := loadWeighted(s.ByBytes)
	if err != nil {
		return fmt.Errorf("keys by bytes: %w", err)
	}
	*m = Tracked{s.All, s.Selected, s.Sampled, byCost, byBytes}
	return nil
}

func saveWeighted(list []Weighted) []savedWeighted {
	if list == nil {
		return nil
	}
	all := []savedWeighted{}
	for _, w := range list[:min(len(list), MaxTracked)] {
		all = append(all, savedWeighted{w.Name, w.Length, w.Weight})
	}
	return all
}

func loadWeighted(list []savedWeighted) ([]Weighted, error) {
	if len(list) > MaxTracked {
		return nil, errors.New("there are too many")
	}
	if list == nil {
		return nil, nil
	}
	all := []Weighted{}
	for _, w := range list {
		if w.Length < len(w.Name) || len(w.Name) != min(w.Length, KeyMax) {
			return nil, fmt.Errorf("a key of %d bytes with a name of %d", w.Length, len(w.Name))
		}
		all = append(all, Weighted{w.Name, w.Length, w.Weight})
	}
	return all, nil
}
