package page

import (
	"samaritan/bench/compression/internal/trial"
	"samaritan/bench/internal/findings"
)

// Of shows results.
func Of(r *trial.Results, about findings.About) *findings.Page {
	all, remark := sections(r), ""
	if r.Quick {
		remark = "This was a quick run: times mean nothing.\n\n"
	}
	return &findings.Page{
		Benchmark: "bench-compression", Document: "compression.md", About: about, Took: r.Took, Checks: r.Checks(),
		Text: all.Text(), Markdown: remark + all.Markdown(),
	}
}

// sections are those of which there is something.
func sections(r *trial.Results) (some findings.Sections) {
	if len(r.Ratios) > 0 {
		some.Add("How much smaller values get", RatioTable(r.Ratios), ratioNote)
	}
	if len(r.Stores) > 0 {
		some.Add("Memory of the nodes", MemoryTable(r.Stores), memoryNote)
		some.Add("Bytes between proxy and nodes, per request", WireTable(r.Stores), wireNote)
	}
	if len(r.Costs) > 0 {
		some.Add("CPU time per request", CostTable(r.Costs, trial.Snappy, trial.Zstd), costNote)
	}
	if len(r.Untouched) > 0 {
		table := CostTable(r.Untouched, trial.Below, trial.Again)
		some.Add("CPU time per request, values below the threshold", table, untouchedNote)
	}
	if len(r.Latencies) > 0 {
		some.Add("Latency of GET, 16 KiB of JSON", LatencyTable(r.Latencies), latencyNote)
	}
	return some
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
