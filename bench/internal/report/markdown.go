package report

import (
	"fmt"
	"strings"
	"time"

	"samaritan/internal/markdown"
)

// Markdown renders the whole page. picture is the path of the picture as seen
// from the page.
func (r Report) Markdown(picture string) string {
	var b strings.Builder
	b.WriteString("# Benchmark\n\n<!-- Written by `make bench`. Changes by hand get lost. -->\n\n")
	fmt.Fprintf(&b, "![CPU per request of Samaritan and twemproxy](%s)\n\n", picture)
	b.WriteString(r.facts())
	b.WriteString("\n## Under load\n\n" + r.LoadTable())
	b.WriteString(loadNotes)
	if t := r.FootprintTable(); t != "" {
		b.WriteString("\n## Memory and start\n\n" + t)
		fmt.Fprintf(&b, footprintNotes, r.Footprints[Subject].Connections)
	}
	b.WriteString("\n" + fmt.Sprintf(methodNotes, r.Rounds, r.Seconds))
	return b.String()
}

// facts lists where and with what the figures were made.
func (r Report) facts() string {
	m := r.Machine
	pinned := "nothing pinned: the kernel places all processes"
	if m.Pinned {
		pinned = "proxies on the first CPU, servers and load on the others"
	}
	t := &markdown.Table{Left: 2}
	t.Add("run", "")
	t.Add("date", r.Date.UTC().Format(time.DateOnly))
	t.Add("machine", fmt.Sprintf("%d cores, %s; Linux %s; %s", m.Cores, m.CPU, m.Kernel, pinned))
	t.Add("Samaritan", m.Subject)
	t.Add("twemproxy", m.Peer)
	t.Add("Redis", m.Redis)
	t.Add("Go", m.Go)
	t.Add("servers", m.Connected)
	return t.String()
}

const loadNotes = `
CPU is the time of the target's own process per request, user and system together; for ` + "`redis`" + ` it is the
server itself, asked without a proxy. Latency is what clients see; with pipelining it is that of a whole pipeline. Where
a scenario has two commands, rate and CPU are their means, and latency is that of the slower one. The ratio is
Samaritan's CPU per request as a multiple of twemproxy's.
`

const footprintNotes = `
%d clients connect, ask once and go idle. Memory is the resident set of the process; what the kernel keeps for sockets
is not in it. A start is over when the proxy serves: for Samaritan, when ` + "`/ready`" + ` says so.
`

const methodNotes = `## How it is measured

- Each scenario has %d rounds of %g s for each target. In a round all targets run one after the other, and each round
  begins with another one. Figures are medians over rounds. The ratio is the median of the ratios within rounds, so what
  changes on the machine from round to round does not count.
- The load comes from ` + "`redis-benchmark`" + `, on the same machine, over loopback, with random keys that all exist.
- Samaritan runs with its defaults: statistics and hot keys are on. twemproxy runs with its defaults too, one connection
  per server; it is one thread.
- CPU time is read from the process' CPU clock before and after each run. What a run takes in which each connection
  sends just one pipeline is taken off; the rest, divided by the number of requests, is the figure. So connecting is not
  in it.
- ` + "`make bench`" + ` writes this page; ` + "`bin/bench -help`" + ` lists what can be chosen.
`
