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
	"samaritan/proc/redis/filter"
)

// hotMerger brings what the workers count together, once in an interval.
type hotMerger struct {
	collector *hotkey.Collector
	changed   chan struct{} // the settings have

	hits  atomic.Uint64
	rates filter.HotRates

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
		ClientName:  p.callers.name, CommandNumber: commandNumber, ClientNumber: p.callers.number,
	}
}

// commandNumber is what a command is counted by, from its full name.
func commandNumber(name string) (id uint16, ok bool) {
	container, sub, isSub := strings.Cut(name, "|")
	info := command.Lookup([]byte(container))
	if info != nil && isSub {
		info = info.Sub([]byte(sub))
	}
	if info == nil {
		return 0, false
	}
	return info.ID, true
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
	p.limitImported()
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
	p.collectHotKeys()
	m.collector.Merge(time.Now())
	m.tookMu.Lock()
	defer m.tookMu.Unlock()
	m.took.Observe(uint64(time.Since(began) / time.Microsecond))
}

// collectHotKeys brings what the workers have counted into the interval that is being
// filled. The caller holds mu.
func (p *Proc) collectHotKeys() {
	m := p.hot
	p.cutHotKeys(func(addr string, n *hotkey.Counts, now int64) {
		m.collector.Add(addr, n, now, time.Now())
		m.hits.Add(n.Hits())
	}, func(s *hotkey.Slots, r *filter.Rest) {
		m.collector.AddRest(s, &r.Largest, r.Now, time.Now())
		m.collector.AddReplies(r.Late)
	})
}

// resetHotKeys forgets all that was counted, here and in the workers.
func (p *Proc) resetHotKeys() {
	m := p.hot
	m.mu.Lock()
	defer m.mu.Unlock()
	p.cutHotKeys(func(string, *hotkey.Counts, int64) {}, func(*hotkey.Slots, *filter.Rest) {})
	m.collector.Reset()
}

// cutHotKeys takes from all workers what they have counted. It visits the loop once for
// each counter and leaves emptied memory in exchange for what it takes, so that a visit takes no time
// and one spare is enough. The caller holds mu.
func (p *Proc) cutHotKeys(keys func(string, *hotkey.Counts, int64), rest func(*hotkey.Slots, *filter.Rest)) {
	m := p.hot
	for _, w := range p.allWorkers() {
		for i, more := 0, true; more; {
			if m.spare == nil {
				m.spare = new(hotkey.Counts)
			}
			at, ok := askWorker(w, func(w *worker) filter.CountsAt {
				if w.hot == nil {
					return filter.CountsAt{}
				}
				return w.hot.CutNode(&i, m.spare)
			})
			if more = ok && at.Counts != nil; more {
				keys(at.Addr, at.Counts, at.Now)
				at.Counts.Clear()
				m.spare = at.Counts
			}
		}
		slots := m.slots
		r, _ := askWorker(w, func(w *worker) *filter.Rest {
			if w.hot == nil {
				return nil
			}
			rest := w.hot.CutRest(&slots)
			return &rest
		})
		if r == nil {
			continue
		}
		rest(slots, r)
		slots.Clear()
		m.slots = slots
	}
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
