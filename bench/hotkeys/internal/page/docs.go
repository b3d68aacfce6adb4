package page

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/bench/internal/outcome"
	"samaritan/internal/markdown"
)

const (
	docsPage  = "hotkeys.md"
	docsBegin = "<!-- bench-hotkey:begin -->"
	docsEnd   = "<!-- bench-hotkey:end -->"
)

// Write replaces what is between the markers of the page in dir, and the pictures beside it.
func Write(dir string, about outcome.About, r *trial.Results) error {
	if err := markdown.Replace(filepath.Join(dir, docsPage), docsBegin, docsEnd, text(about, r)); err != nil {
		return err
	}
	return errors.Join(
		writePicture(dir, "accuracy", accuracyPicture(r.Accuracy)),
		writePicture(dir, "comparison", comparisonPicture(r.Contests, r.Cost != nil)),
		writePicture(dir, "decay", decayPicture(r.Decay)),
		writePicture(dir, "counter", counterPicture(r.Growths)),
	)
}

func writePicture(dir, name, svg string) error {
	return os.WriteFile(filepath.Join(dir, "hotkeys-"+name+".svg"), []byte(svg), 0o644)
}

// text is the part of the page between the markers.
func text(about outcome.About, r *trial.Results) string {
	var b strings.Builder
	b.WriteString(about.Head(r.Took, r.Checks()))
	b.WriteString("### How right reports are\n\n" + AccuracyTable(r.Accuracy) + accuracyNotes)
	b.WriteString("### How soon a new key is listed\n\n" + BurstTable(r.Bursts) + burstNotes)
	b.WriteString("### The 8-bit counter\n\n" + GrowthTable(r.Growths) + growthNotes)
	b.WriteString("### Algorithms compared\n\n![Precision and time per hit of five algorithms](hotkeys-comparison.svg)\n\n" +
		ContestTable(r.Contests, r.Cost != nil) + contestNotes)
	if r.Cost != nil {
		b.WriteString("### What it costs\n\n" + CostTable(r.Cost))
		fmt.Fprintf(&b, costNotes, r.Cost.Allocations, r.Cost.Counter>>10)
		b.WriteString(MergeTable(r.Cost) + mergeNotes)
	}
	return b.String()
}

const accuracyNotes = `
One million keys on three nodes, Poisson arrivals, default interval and window; the report at 30 s is compared with
exact counts of the same hits. Medians over the seeds; *worst* and *places off* are those of the worst seed, *within
bounds* is of the keys of all seeds. A key with as many hits as the 50th belongs to the 50. *Slots move*: all keys are at another node
from 5 s before the report on. *Bound* is error plus sampling_error, relative to the
count. *Late* keys have 0.1 % each, begin 5 s before the report and are all equally hot, so their order means nothing. When only
a sample is looked at, chance decides between keys of nearly the same count: the line below shows what exact counts
of the same sample would give.

`

const burstNotes = `
A key that nobody used, or the 400th of them, gets hot while traffic with s = 0.99 goes on. It is listed at the first merge at which it has more
hits in the window than the 50th key; the table compares that with the truth. With 1 % of the traffic that takes about
3 s. The slowest seed counts.

`

const growthNotes = `
Mean and standard deviation over many runs. The middle columns have the same hits spread over ten intervals.

`

const contestNotes = `
Every hit is looked at, by all. *50 in 10 million*: keys drawn evenly from ten million, and 50 hot ones with 0.1 % each; *late*
ones begin in the middle. All algorithms hash the key the same way and keep 128 bytes of it; package hotkey also counts
reads, writes, bytes, commands and clients of each key, which is in its time and memory. HeavyKeeper's counts of late
keys are closer, but it does not know how wrong a count may be; with package hotkey each comes with its bound. Times are
medians of rounds in which all algorithms take turns, less what an empty loop takes.

`

const costNotes = `
A hit is Sampler.Take, and for those looked at the hash of the key and Counter.Hit; the end of an
interval (Counter.Cut) is in it. *In batches*: by way of Batch, as the proxy does it; here, where all memory is in the
processor's cache, that is no gain. s = 0.99, three nodes; the time of an empty loop is taken off. The share of a core is that of
hits one by one. Times are processor time, medians of rounds. %g allocations per hit; a counter takes %d KiB, and there is
one for each node.

`

const mergeNotes = `
Once per interval, off the request path, with 20,000 hits at each node.
`
