package trial

import (
	"log/slog"
	"time"
)

// Options say how much to run.
type Options struct {
	Seeds  int  // of each load and burst
	Rounds int  // of what is timed; 0 times nothing
	Runs   int  // of the 8-bit counter
	Hits   int  // of a timed stream
	Crowd  int  // keys under pressure
	Quick  bool // leaves out the longest loads
	Logger *slog.Logger
}

// Full is what the documents are made of.
func Full() Options {
	return Options{Seeds: 5, Rounds: 9, Runs: 1000, Hits: 1_000_000, Crowd: 10_000_000}
}

// Quick is enough to see that all bounds hold that do not depend on the machine.
func Quick() Options {
	return Options{Seeds: 1, Runs: 400, Hits: 300_000, Crowd: 1_000_000, Quick: true}
}

// Run runs all trials.
func Run(o Options) *Results {
	start, w, r := time.Now(), NewWorld(), new(Results)
	step := func(name string) { o.Logger.Info(name, "after", time.Since(start).Round(100*time.Millisecond)) }
	for _, l := range Loads {
		if o.Quick && l.PerSecond > 200_000 {
			continue
		}
		step("accuracy, " + l.String())
		r.Accuracy = append(r.Accuracy, w.Accuracy(l, o.Seeds))
	}
	step("bursts")
	r.Bursts = w.Bursts(o.Seeds, o.Quick)
	step("decay")
	r.Decay = w.Decay()
	step("8-bit counter")
	r.Growths = Growths(o.Runs)
	step("comparison")
	r.Contests = w.Contests(max(1, o.Rounds), o.Hits, o.Crowd)
	if o.Rounds > 0 {
		step("cost")
		cost := w.Cost(o.Rounds, o.Hits)
		r.Cost = &cost
	}
	r.Took = time.Since(start)
	return r
}
