package redis

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/hotkey"
	"samaritan/internal/stats"
	"samaritan/proc/redis/command"
)

// hotMerger brings what the workers count together, once in an interval.
type hotMerger struct {
	collector *hotkey.Collector
	changed   chan struct{} // the settings have

	hits    atomic.Uint64
	sampled sharedRate
	spared  sharedRate

	mu    sync.Mutex // held while merging or resetting; guards the following
	spare *hotkey.Counts
	slots *hotkey.Slots

	tookMu sync.Mutex      // guards the following; held for a moment only
	took   stats.Histogram // microseconds of merges
}

func newHotMerger(p *Proc) *hotMerger {
	m := &hotMerger{changed: make(chan struct{}, 1), slots: new(hotkey.Slots)}
	m.collector = hotkey.NewCollector(p.hotOptions())
	return m
}

func (p *Proc) hotOptions() hotkey.Options {
	set := p.settings.Load().hot
	return hotkey.Options{
		Capacity: set.capacity, Interval: set.interval, Window: set.window,
		CommandName: func(id uint16) string { return command.ByID(id).Name },
		ClientName:  p.callers.name,
	}
}

// hotKeys returns what was hot when the last interval ended.
func (p *Proc) hotKeys() *hotkey.Report { return p.hot.collector.Report() }

// hotSettingsChanged makes the change of settings take effect.
func (p *Proc) hotSettingsChanged() {
	select {
	case p.hot.changed <- struct{}{}:
	default: // it will be seen
	}
}

// mergeHotKeys merges until ctx ends.
func (p *Proc) mergeHotKeys(ctx context.Context) {
	set := p.settings.Load().hot
	ticker := time.NewTicker(set.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.hot.changed:
			before := set
			set = p.settings.Load().hot
			p.hot.collector.Configure(p.hotOptions())
			if set.interval != before.interval {
				ticker.Reset(set.interval)
			}
			if !set.enable && before.enable {
				p.resetHotKeys()
			}
		case <-ticker.C:
			if set.enable {
				p.mergeOnce()
				p.logHotKeys(set.logTop)
			}
		}
	}
}

// mergeOnce ends an interval.
func (p *Proc) mergeOnce() {
	m := p.hot
	m.mu.Lock()
	defer m.mu.Unlock()
	began := time.Now()
	p.cutHotKeys(func(addr string, n *hotkey.Counts, now int64) {
		m.collector.Add(addr, n, now, time.Now())
		m.hits.Add(n.Hits())
	}, func(s *hotkey.Slots, c *cut) {
		m.collector.AddRest(s, &c.largest, c.now, time.Now())
		m.collector.AddReplies(c.late)
	})
	m.collector.Merge(time.Now())
	m.tookMu.Lock()
	defer m.tookMu.Unlock()
	m.took.Observe(uint64(time.Since(began) / time.Microsecond))
}

// resetHotKeys forgets all that was counted, here and in the workers.
func (p *Proc) resetHotKeys() {
	m := p.hot
	m.mu.Lock()
	defer m.mu.Unlock()
	p.cutHotKeys(func(string, *hotkey.Counts, int64) {}, func(*hotkey.Slots, *cut) {})
	m.collector.Reset()
}

// cut is what one visit to a worker brings.
type cut struct {
	addr    string
	counts  *hotkey.Counts
	more    bool // there are further counters
	off     bool // the worker counts nothing
	now     int64
	largest hotkey.Largest
	late    []hotkey.Reply
}

// cutHotKeys takes from all workers what they have counted. It visits the loop once for
// each counter and leaves emptied memory in exchange for what it takes, so that a visit takes no time
// and one spare is enough. The caller holds mu.
func (p *Proc) cutHotKeys(keys func(string, *hotkey.Counts, int64), rest func(*hotkey.Slots, *cut)) {
	m := p.hot
	answer := make(chan cut, 1)
	for _, w := range p.allWorkers() {
		for i := 0; ; {
			if m.spare == nil {
				m.spare = new(hotkey.Counts)
			}
			if !w.loop.Post(func() { answer <- w.cutCounter(&i, m.spare) }) {
				break
			}
			c := <-answer
			if c.counts != nil {
				keys(c.addr, c.counts, c.now)
				c.counts.Clear()
				m.spare = c.counts
			}
			if !c.more {
				break
			}
		}
		slots := m.slots
		if !w.loop.Post(func() { answer <- w.cutRest(&slots) }) {
			continue
		}
		c := <-answer
		if c.off {
			continue
		}
		rest(slots, &c)
		slots.Clear()
		m.slots = slots
	}
}

// cutCounter takes what the i-th counter has counted and goes on to the next. Those of
// nodes that are gone are dropped.
func (w *worker) cutCounter(i *int, spare *hotkey.Counts) cut {
	if w.hot == nil || *i >= len(w.hot.placed) {
		return cut{}
	}
	w.flushHits()
	at := w.hot.placed[*i]
	if at.gone {
		w.hot.placed = append(w.hot.placed[:*i], w.hot.placed[*i+1:]...)
	} else {
		*i++
	}
	now := w.loop.Now()
	return cut{addr: at.addr, counts: at.Cut(spare, now), now: now, more: true}
}

// cutRest exchanges the worker's counts of slots for the empty ones given, and takes the largest values.
func (w *worker) cutRest(slots **hotkey.Slots) cut {
	if w.hot == nil {
		return cut{off: true}
	}
	w.hot.slots, *slots = *slots, w.hot.slots
	c := cut{now: w.loop.Now(), largest: w.hot.largest, late: w.hot.late}
	w.hot.late = nil
	w.hot.largest.Clear()
	w.lookForLarge()
	return c
}

// logHotKeys writes the hottest keys of the window into the log, in one line.
func (p *Proc) logHotKeys(top int) {
	r := p.hotKeys()
	if top == 0 || len(r.Keys) == 0 {
		return
	}
	var keys strings.Builder
	for i, k := range r.Keys[:min(top, len(r.Keys))] {
		if i > 0 {
			keys.WriteString(", ")
		}
		fmt.Fprintf(&keys, "%v %.0f/s %.1f%%", k.Name, k.QPS, 100*k.Share)
	}
	p.env.Log.Info("hot keys", slog.Float64("qps", math.Round(r.QPS)), slog.Duration("window", r.Window.Round(time.Millisecond)), slog.String("keys", keys.String()))
}

// emitHotKeys reports the numbers of the hot keys, and never a key.
func (p *Proc) emitHotKeys(e emitter) {
	m, r := p.hot, p.hotKeys()
	e.counter("hotkeys.hits_total", m.hits.Load())
	e.gauge("hotkeys.tracked", r.Tracked)
	e.emit(stats.Sample{Service: p.name, Name: "hotkeys.sample_rate", Kind: stats.Gauge, Value: r.SampleRate})
	m.tookMu.Lock()
	took := m.took
	m.tookMu.Unlock()
	e.histogram("hotkeys.merge_micros", "", &took, 1)
}
