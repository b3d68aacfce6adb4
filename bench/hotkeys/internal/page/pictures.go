package page

import (
	"fmt"
	"math"

	"samaritan/bench/hotkeys/internal/trial"
)

// accuracyPicture shows the counts of two reports with their bounds.
func accuracyPicture(all []trial.Accuracy) string {
	p := newPicture(400, "Counts and their bounds",
		"Each listed key: its count (dot) and what the report says the true count lies within (bar). The zero line is the true count.",
		"For each of 50 listed keys the count relative to the true count, with its error bounds, for late keys and for sampled traffic")
	left, width := 70.0, 345.0
	for _, a := range all {
		switch {
		case a.Load.Late:
			spreadPlot(p, left, left+width, a.Spread, "Every hit looked at: error", "50 keys that begin 5 s before the end, among a million, 50,000/s")
		case a.Load.Sampled() && !a.Load.Exacting():
			spreadPlot(p, left+425, left+425+width, a.Spread, sampledTitle(a.Scores), a.Load.String())
		}
	}
	return p.String()
}

func sampledTitle(scores []trial.Score) string {
	rate := trial.Mean(scores, func(s trial.Score) float64 { return s.SampleRate })
	return fmt.Sprintf("One hit of %.0f looked at: sampling_error", 1/rate)
}

func spreadPlot(p *picture, left, right float64, spread []trial.Spread, title, detail string) {
	p.text("strong text", "start", left, 88, title)
	p.text("small soft", "start", left, 105, detail)
	const most = 30
	a := &plot{picture: p, left: left, right: right, top: 122, bottom: 340, minX: 0, maxX: 51, minY: -most, maxY: most}
	a.axes("place in the list", ticks("%.0f", 1, 10, 20, 30, 40, 50), []tick{{-30, "−30 %"}, {-15, "−15 %"}, {0, "0 %"}, {15, "+15 %"}, {30, "+30 %"}})
	for i, s := range spread {
		x, of := a.x(float64(i+1)), 100/float64(s.True)
		off, bound := (float64(s.Count)-float64(s.True))*of, float64(s.Error+s.SamplingError)*of
		a.line("pale", x, a.y(max(off-bound, -most)), x, a.y(min(off+bound, most)), 3)
		class := "one"
		if math.Abs(off) > bound {
			class = "bad"
		}
		a.dot(class, x, a.y(max(-most, min(off, most))), 2.2)
	}
	a.line("axis", a.left, a.y(0), a.right, a.y(0), 1)
}

// decayPicture shows how counters fall.
func decayPicture(d trial.Decay) string {
	p := newPicture(380, "The counter after the last hit", "Traffic stops at 0 min: halved for each whole minute without a hit, gone from the list at 0",
		"The counters of four keys over ten minutes without hits: each is halved every minute until it is 0")
	a := &plot{picture: p, left: 70, right: 850, top: 84, bottom: 318, minX: 0, maxX: 8, minY: 0, maxY: 100}
	a.axes("minutes since the traffic stopped", ticks("%.0f", 0, 1, 2, 3, 4, 5, 6, 7, 8), ticks("%.0f", 0, 20, 40, 60, 80, 100))
	var names []string
	for i, class := range []string{"one", "two", "three", "four"} {
		place := []int{1, 3, 10, 30}[i]
		if place > len(d.Keys) {
			break
		}
		k := d.Keys[place-1]
		points, last := []float64{}, 0.0
		for j, r := range k.Readings {
			minutes := r.At.Minutes()
			if j > 0 && minutes-last > 0.2 {
				break // it had to make room for others for a while
			}
			if j > 0 {
				points = append(points, a.x(minutes), points[len(points)-1])
			}
			points, last = append(points, a.x(minutes), a.y(float64(r.Counter))), minutes
		}
		points = append(points, a.x(last+1./6), points[len(points)-1], a.x(last+1./6), a.y(0))
		a.path(class, 2, points...)
		a.text("small text", "start", a.x(0.06), a.y(float64(k.Readings[0].Counter))-6, fmt.Sprint(k.Readings[0].Counter))
		names = append(names, class, ordinal(place)+" key of the list")
	}
	for i := 0; i < len(names); i += 2 {
		legend(p, 700, 112+11*float64(i), names[i:i+2]...)
	}
	return p.String()
}

// counterPicture shows what the 8-bit counter says after a number of hits.
func counterPicture(all []trial.Growth) string {
	p := newPicture(400, "The 8-bit counter", "What it says after a number of hits: mean and spread (one standard deviation) over many runs",
		"The 8-bit counter after 10 to 1,000,000 hits, as package hotkey has it and by one random number per hit: both are the same")
	a := &plot{picture: p, left: 70, right: 850, top: 112, bottom: 340, minX: 5, maxX: 2_000_000, minY: 0, maxY: 255, logX: true}
	horizontal := []tick{{10, "10"}, {100, "100"}, {1000, "1,000"}, {10_000, "10,000"}, {100_000, "100,000"}, {1_000_000, "1,000,000"}}
	a.axes("hits", horizontal, ticks("%.0f", 0, 50, 100, 150, 200, 255))
	var curve []float64
	for e := math.Log(a.minX); e <= math.Log(a.maxX); e += 0.02 {
		hits := math.Exp(e)
		curve = append(curve, a.x(hits), a.y(min(255, (math.Sqrt(1+20*hits)-1)/10)))
	}
	a.path("pale", 1.5, curve...)
	for _, g := range all {
		x := a.x(float64(g.Hits))
		for i, m := range []trial.Moments{g.Reference, g.Whole} {
			class, at := []string{"grey", "one"}[i], x+[]float64{-5, 5}[i]
			a.line(class, at, a.y(max(0, m.Mean-m.Spread)), at, a.y(min(255, m.Mean+m.Spread)), 2)
			a.dot(class, at, a.y(m.Mean), 3.5)
		}
		a.text("small text", "end", x-10, a.y(g.Whole.Mean)-8, fmt.Sprintf("%.1f", g.Whole.Mean))
	}
	legend(p, 70, 86, "one", "package hotkey", "grey", "a random number for each hit", "pale", "hits = 5·counter² + counter")
	return p.String()
}

// legend writes pairs of a class and its meaning in a row.
func legend(p *picture, x, y float64, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		p.dot(pairs[i], x+5, y-4, 5)
		p.text("small text", "start", x+16, y, pairs[i+1])
		x += 40 + 6.4*float64(len(pairs[i+1]))
	}
}

// streamClasses are the colours of the streams.
var streamClasses = []string{"one", "three", "four", "two", "bad"}

// comparisonPicture shows precision and time of each algorithm, a dot for each stream.
func comparisonPicture(all []trial.Contest, timed bool) string {
	entrants := all[0].Entrants
	const row = 46
	bottom := 122 + float64(row*len(entrants))
	p := newPicture(int(bottom)+64, "Algorithms on the same streams", "A dot for each stream. One interval at one node; about the same memory, or the 1,024 entries that are usual",
		"Precision at 50 and nanoseconds per hit of five algorithms on five streams")
	precision := &plot{picture: p, left: 260, right: 500, top: 122, bottom: bottom, minX: 0, maxX: 1}
	slowest := 50.0
	for _, c := range all {
		for _, e := range c.Entrants {
			slowest = max(slowest, math.Ceil(e.PerHit/50)*50)
		}
	}
	time := &plot{picture: p, left: 570, right: 830, top: 122, bottom: bottom, minX: 0, maxX: slowest}
	precision.axes("precision at 50, more is better", ticks("%g", 0, 0.25, 0.5, 0.75, 1), nil)
	var pairs []string
	for i, c := range all {
		pairs = append(pairs, streamClasses[i%len(streamClasses)], c.Stream)
	}
	legend(p, 24, 92, pairs...)
	if timed {
		time.axes("ns per hit, less is better", ticks("%.0f", 0, slowest/2, slowest), nil)
	}
	for i := range entrants {
		y := 122 + row*(float64(i)+0.5)
		class := "text"
		if i == 0 {
			class = "strong text"
		}
		p.text(class, "start", 24, y+4, entrants[i].Name)
		p.line("rule", precision.left, y, precision.right, y, 1)
		p.line("rule", time.left, y, time.right, y, 1)
		for j, c := range all {
			shift := 5 * (float64(j) - float64(len(all)-1)/2)
			p.dot(streamClasses[j%len(streamClasses)], precision.x(c.Entrants[i].Precision), y+shift, 4)
			if timed {
				p.dot(streamClasses[j%len(streamClasses)], time.x(max(0, c.Entrants[i].PerHit)), y+shift, 4)
			}
		}
	}
	return p.String()
}
