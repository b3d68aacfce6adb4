package config

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/redis"
)

// What holds of hot keys when the config says nothing, and what may be set.
const (
	defaultHotCapacity  = 50
	defaultHotInterval  = 10 * time.Second
	defaultHotIntervals = 2 // in a window

	maxHotCapacity  = 1000
	maxHotLogTop    = 100
	minHotInterval  = time.Second
	maxHotInterval  = time.Hour
	maxHotIntervals = 10 // in a window
)

// fillHotKeys also rounds the window up, so that the effective config shows what
// is counted. A window that validation will refuse stays as it was given.
func fillHotKeys(h *redis.HotKeys) {
	if h.Enable == nil {
		h.Enable = proto.Bool(true)
	}
	if h.Capacity == 0 {
		h.Capacity = defaultHotCapacity
	}
	orDuration(&h.Interval, defaultHotInterval)
	interval := h.Interval.AsDuration()
	if interval < minHotInterval || interval > maxHotInterval {
		interval = defaultHotInterval // refused later: the window is still to be looked at
	}
	orDuration(&h.Window, defaultHotIntervals*interval)
	if !h.Window.IsValid() {
		return
	}
	if w := h.Window.AsDuration(); w > interval && w < maxHotIntervals*interval && w%interval != 0 {
		h.Window = durationpb.New(w - w%interval + interval)
	}
}

// hotKeys checks the window against the interval, or against any that there may
// be when the interval itself is wrong.
func (v *validator) hotKeys(path string, h *redis.HotKeys) {
	v.atMost(path+".capacity", h.Capacity, maxHotCapacity)
	v.atMost(path+".log_top", h.LogTop, maxHotLogTop)
	low, high := minHotInterval, maxHotInterval
	if v.between(path+".interval", h.Interval, low, high, "") {
		low, high = h.Interval.AsDuration(), h.Interval.AsDuration()
	}
	v.between(path+".window", h.Window, low, maxHotIntervals*high, " (1 to 10 intervals)")
}

// between checks a duration that has two bounds, and tells whether it is fine. The
// note goes after the bounds.
func (v *validator) between(path string, d *durationpb.Duration, low, high time.Duration, note string) bool {
	if err := d.CheckValid(); err != nil {
		v.fail(path, "must be a valid duration")
	} else if value := d.AsDuration(); value < low || value > high {
		v.fail(path, "must be %s..%s%s, is %s", low, high, note, value)
	}
	return !v.isBroken(path)
}

// atMost checks a number that may come over the wire. In a file, decoding finds it.
func (v *validator) atMost(path string, n, limit uint32) {
	if n > limit {
		v.fail(path, "must be 0..%d, is %d", limit, n)
	}
}
