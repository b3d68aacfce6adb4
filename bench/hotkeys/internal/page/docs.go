package page

import (
	"fmt"
	"strings"

	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/bench/internal/findings"
)

// Of shows results.
func Of(r *trial.Results, about findings.About) *findings.Page {
	return &findings.Page{
		Benchmark: "bench-hotkey", Document: "hotkeys.md", About: about, Took: r.Took, Checks: r.Checks(),
		Text: text(r), Markdown: sections(r).Markdown(),
		Pictures: map[string]string{
			"hotkeys-accuracy.svg":   accuracyPicture(r.Accuracy),
			"hotkeys-comparison.svg": comparisonPicture(r.Contests, r.Cost != nil),
			"hotkeys-decay.svg":      decayPicture(r.Decay),
			"hotkeys-counter.svg":    counterPicture(r.Growths),
		},
	}
}

// text has tables only.
func text(r *trial.Results) string {
	tables := []string{AccuracyTable(r.Accuracy), BurstTable(r.Bursts), GrowthTable(r.Growths), ContestTable(r.Contests, r.Cost != nil)}
	if r.Cost != nil {
		tables = append(tables, CostTable(r.Cost), MergeTable(r.Cost))
	}
	return strings.Join(tables, "\n") + "\n"
}

// sections are those of the document.
func sections(r *trial.Results) (all findings.Sections) {
	all.Add("How right reports are", AccuracyTable(r.Accuracy), accuracyNote)
	all.Add("How soon a new key is listed", BurstTable(r.Bursts), burstNote)
	all.Add("The 8-bit counter", GrowthTable(r.Growths), growthNote)
	all.Add("Algorithms compared", comparison+ContestTable(r.Contests, r.Cost != nil), contestNote)
	if r.Cost != nil {
		note := fmt.Sprintf(costNote, r.Cost.Allocations, r.Cost.Counter>>10) + MergeTable(r.Cost) + mergeNote
		all.Add("What it costs", CostTable(r.Cost), note)
	}
	return all
}

const comparison = "![Precision and time per hit of five algorithms](hotkeys-comparison.svg)\n\n"

const accuracyNote = `
One million keys on three nodes, Poisson arrivals, default interval and window; the report at 30 s is compared with
exact counts of the same hits. Medians over the seeds; *worst* and *places off* are those of the worst seed, *within
bounds* is of the keys of all seeds. A key with as many hits as the 50th belongs to the 50. *Slots move*: all keys are at another node
from 5 s before the report on. *Bound* is error plus sampling_error, relative to the
count. *Late* keys have 0.1 % each, begin 5 s before the report and are all equally hot, so their order means nothing. When only
a sample is looked at, chance decides between keys of nearly the same count: the line below shows what exact counts
of the same sample would give.
`

const burstNote = `
A key that nobody used, or the 400th of them, gets hot while traffic with s = 0.99 goes on. It is listed at the first merge at which it has more
hits in the window than the 50th key; the table compares that with the truth. With 1 % of the traffic that takes about
3 s. The slowest seed counts.
`

const growthNote = `
Mean and standard deviation over many runs. The middle columns have the same hits spread over ten intervals.
`

const contestNote = `
Every hit is looked at, by all. *50 in 10 million*: keys drawn evenly from ten million, and 50 hot ones with 0.1 % each; *late*
ones begin in the middle. All algorithms hash the key the same way and keep 128 bytes of it; package hotkey also counts
reads, writes, bytes, commands and clients of each key, which is in its time and memory. HeavyKeeper's counts of late
keys are closer, but it does not know how wrong a count may be; with package hotkey each comes with its bound. Times are
medians of rounds in which all algorithms take turns, less what an empty loop takes.
`

const costNote = `
A hit is Sampler.Take, and for those looked at the hash of the key and Counter.Hit; the end of an
interval (Counter.Cut) is in it. *In batches*: by way of Batch, as the proxy does it; here, where all memory is in the
processor's cache, that is no gain. s = 0.99, three nodes; the time of an empty loop is taken off. The share of a core is that of
hits one by one. Times are processor time, medians of rounds. %g allocations per hit; a counter takes %d KiB, and there is
one for each node.

`

const mergeNote = `
Once per interval, off the request path, with 20,000 hits at each node.
`
