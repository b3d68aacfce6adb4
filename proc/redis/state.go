package redis

import (
	"encoding/json"
	"errors"
	"fmt"
)

const (
	stateFormat  = "samaritan redis service"
	stateVersion = 1
	maxStateSize = 96 << 20 // bytes
)

// savedState is what moves to another process besides clients and counters, as JSON.
type savedState struct {
	Format   string          `json:"format"`
	Version  int             `json:"version"`
	HotKeys  json.RawMessage `json:"hot_keys,omitempty"` // of hotkey.Collector
	Tracking *savedTracking  `json:"tracking,omitempty"`
}

// ExportState encodes what the service knows of its hot keys, and its HOTKEYS session, for
// ImportState in the process that takes over. What the workers have counted is brought
// into the interval that is being filled, which does not end by that: the other process
// goes on with it, so that no rate is taken from a short one. Here all goes on as well. It asks
// the loops, so it must not be called on one.
func (p *Proc) ExportState() ([]byte, error) {
	s := savedState{Format: stateFormat, Version: stateVersion, Tracking: p.saveTracking()}
	if p.settings.Load().hot.enable {
		keys, err := p.exportHotKeys()
		if err != nil {
			return nil, fmt.Errorf("export state of %s: %w", p.name, err)
		}
		s.HotKeys = keys
	}
	data, err := json.Marshal(&s)
	if err != nil {
		return nil, fmt.Errorf("export state of %s: %w", p.name, err)
	}
	return data, nil
}

func (p *Proc) exportHotKeys() ([]byte, error) {
	p.hot.mu.Lock()
	defer p.hot.mu.Unlock()
	p.collectHotKeys()
	return p.hot.collector.Export()
}

// ImportState takes what ExportState has returned in the process before, in the place of
// what was known here. It belongs before the first client: hits that were merged already
// are lost. Hot keys are left out while they are switched off here. With an error nothing has
// changed.
func (p *Proc) ImportState(data []byte) error {
	s, err := decodeState(data)
	if err != nil {
		return fmt.Errorf("import state of %s: %w", p.name, err)
	}
	if s.HotKeys != nil && p.settings.Load().hot.enable {
		if err := p.importHotKeys(s.HotKeys); err != nil {
			return fmt.Errorf("import state of %s: %w", p.name, err)
		}
	}
	if s.Tracking != nil {
		p.loadTracking(s.Tracking)
	}
	return nil
}

func (p *Proc) importHotKeys(data []byte) error {
	p.hot.mu.Lock()
	defer p.hot.mu.Unlock()
	return p.hot.collector.Import(data)
}

func decodeState(data []byte) (*savedState, error) {
	if len(data) > maxStateSize {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), maxStateSize)
	}
	s := new(savedState)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, err
	}
	switch {
	case s.Format != stateFormat:
		return nil, errors.New("this is no state of a Redis service")
	case s.Version != stateVersion:
		return nil, fmt.Errorf("version %d is not known", s.Version)
	case s.Tracking != nil:
		return s, s.Tracking.check()
	}
	return s, nil
}
