package page

import (
	"path/filepath"
	"strings"

	"samaritan/bench/compression/internal/trial"
	"samaritan/bench/internal/outcome"
	"samaritan/internal/markdown"
)

const (
	docsPage  = "compression.md"
	docsBegin = "<!-- bench-compression:begin -->"
	docsEnd   = "<!-- bench-compression:end -->"
)

// Write replaces what is between the markers of the page in dir.
func Write(dir string, about outcome.About, r *trial.Results) error {
	head := about.Head(r.Took, r.Checks())
	if r.Quick {
		head += "This was a quick run: times mean nothing.\n\n"
	}
	return markdown.Replace(filepath.Join(dir, docsPage), docsBegin, docsEnd, head+sections(r, "### ", true))
}

// Text is everything for the terminal.
func Text(r *trial.Results) string {
	return sections(r, "", false) + outcome.Table(r.Checks())
}

// sections are all tables with their headings, and notes for those who were not there.
func sections(r *trial.Results, heading string, notes bool) string {
	var b strings.Builder
	for _, s := range []struct {
		title, table, note string
		lines              int
	}{
		{"How much smaller values get", RatioTable(r.Ratios), ratioNote, len(r.Ratios)},
		{"Memory of the nodes", MemoryTable(r.Stores), memoryNote, len(r.Stores)},
		{"Bytes between proxy and nodes, per request", WireTable(r.Stores), wireNote, len(r.Stores)},
		{"CPU time per request", CostTable(r.Costs, trial.Snappy, trial.Zstd), costNote, len(r.Costs)},
		{"CPU time per request, values below the threshold", CostTable(r.Untouched, trial.Below, trial.Again), untouchedNote, len(r.Untouched)},
		{"Latency of GET, 16 KiB of JSON", LatencyTable(r.Latencies), latencyNote, len(r.Latencies)},
	} {
		if s.lines == 0 { // It was not wanted.
			continue
		}
		b.WriteString(heading + s.title + "\n\n" + s.table + "\n")
		if notes {
			b.WriteString(strings.TrimSpace(s.note) + "\n\n")
		}
	}
	return b.String()
}

const ratioNote = `
Bytes of the values, divided by the bytes that Redis keeps of them (STRLEN, asked at the node itself). Values of all kinds are made up, as redundant as
those of real applications; see package internal/testvalues. *Session* is small fields and signed tokens in base64.
1.00 means that values are stored as they are.
`

const memoryNote = `
` + "`used_memory`" + ` of three masters, less that of the same masters without keys. The proxy read all values back, and they were the same.
`

const wireNote = `
From the proxy's own counters (` + "`upstream.cx_tx_bytes_total`" + ` for SET, ` + "`upstream.cx_rx_bytes_total`" + ` for GET), for the values of the table above.
`

const costNote = `
Processor time of the proxy's process, user and system, for each request; 50 connections, no pipelining, another value in each request.
The proxies run in turns of a twentieth of a second, and are started anew in each round. Medians of all slices; *times
off* is the median of the comparisons of slices with their neighbours, and *19 of 20* is where the true one is, 19 times out of 20.
*GET and SET* is one of each in turns. *random* are values that do not get smaller: they are read and stored as they are.
`

const untouchedNote = `
*below* has snappy on, with a threshold above all of these values. *off, again* has the same settings as *off*: by how much it differs
is by how much these figures can be wrong.
`

const latencyNote = `
What a client waits that sends one request at a time; with 16 connections all of them do. Clients, proxy and three servers share the machine.
`
