package trial

import (
	"time"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/hotkey"
)

// Decay is how the counters of keys fall after the traffic has stopped.
type Decay struct {
	Stopped time.Duration // virtual time
	Keys    []Cooling     // that were listed then, hottest first
	Wrong   int           // readings that are not what halving once a minute gives
	Left    int           // keys that are still listed at the end
}

// Cooling is one key.
type Cooling struct {
	Name     string
	LastHit  time.Duration // virtual time
	Readings []Reading     // one for each merge from Stopped on, until it is gone
}

// Reading is what a report says.
type Reading struct {
	At      time.Duration // since Stopped
	Counter int
}

// Decay runs a minute of traffic and ten minutes without.
func (w *World) Decay() Decay {
	d := Decay{Stopped: time.Minute}
	var r *Rig
	r = newRig(w.keys, func(report *hotkey.Report) {
		switch at := time.Duration(r.now); {
		case at == d.Stopped:
			d.begin(report)
		case at > d.Stopped:
			d.read(report, at)
		}
	})
	r.run(w.zipf(0.99, 1), traffic.NewArrivals(10_000, traffic.Random(1, forTimes)), d.Stopped)
	r.advance(int64(d.Stopped + 10*time.Minute))
	return d
}

func (d *Decay) begin(report *hotkey.Report) {
	for _, k := range report.Keys {
		d.Keys = append(d.Keys, Cooling{
			Name: k.Name.String(), LastHit: k.LastSeen.Sub(epoch), Readings: []Reading{{0, int(k.Heat)}},
		})
	}
}

// read compares a report with what it should say. A key may leave the list early only to others:
// to such with more hits while there are hits in the window, then to such that are as hot.
func (d *Decay) read(report *hotkey.Report, at time.Duration) {
	listed, least := make(map[string]int, len(report.Keys)), 0
	for _, k := range report.Keys {
		listed[k.Name.String()] = int(k.Heat)
		least = int(k.Heat)
	}
	d.Left = len(report.Keys)
	for i := range d.Keys {
		k := &d.Keys[i]
		want := k.Readings[0].Counter >> int((at-k.LastHit)/time.Minute)
		heat, ok := listed[k.Name]
		displaced := !ok && len(listed) == Capacity && (at < d.Stopped+Window || least >= want)
		if ok != (want > 0) && !displaced || ok && heat != want {
			d.Wrong++
		}
		if ok {
			k.Readings = append(k.Readings, Reading{at - d.Stopped, heat})
		}
	}
}
