package page

import (
	"fmt"

	"samaritan/bench/internal/findings"
	"samaritan/bench/internal/outcome"
	"samaritan/bench/tcp/internal/trial"
)

// Of shows results.
func Of(r *trial.Results, about findings.About) *findings.Page {
	all, checks, remarks := sections(r), r.Checks(), ""
	if r.Options.Stand.StandIn {
		remarks += "Another HAProxy played Samaritan: by how much they differ is by how much these figures can be wrong.\n\n"
	}
	if r.Options.Quick {
		remarks += "This was a quick run: times mean nothing.\n\n"
	}
	return &findings.Page{
		Benchmark: "bench-tcp", Document: "benchmark-tcp.md", About: about, Took: r.Took, Checks: checks,
		Text: all.Text(), Markdown: remarks + outcome.Table(checks) + "\n" + all.Markdown(),
	}
}

// sections are those of which there is something.
func sections(r *trial.Results) (some findings.Sections) {
	var bulk, turns []trial.Cost
	for _, c := range r.Costs {
		if c.Load.Bulk() {
			bulk = append(bulk, c)
		} else {
			turns = append(turns, c)
		}
	}
	if len(bulk) > 0 {
		some.Add("CPU time per GB", BulkTable(bulk), bulkNote)
	}
	if len(turns) > 0 {
		some.Add("CPU time per connection and per round trip", TurnTable(turns), turnNote)
		some.Add("What clients wait", LatencyTable(turns), latencyNote)
	}
	if len(r.Costs) > 0 {
		some.Add("Throughput", RateTable(r.Costs), rateNote)
	}
	if r.Memory != nil {
		some.Add("Memory", MemoryTable(r.Memory), fmt.Sprintf(memoryNote, r.Memory.Connections))
	}
	if r.Apply != nil {
		some.Add("Many services at once", ApplyTable(r.Apply), applyNote)
	}
	if r.Storm != nil {
		some.Add("Endpoints that change", StormTable(r.Storm), fmt.Sprintf(stormNote, r.Storm.Services))
	}
	return some
}

const bulkNote = `
Seconds of the proxy's process, user and system, for 1 GB (1e9 bytes). A download goes from the server to the client, an upload the other way. *Times* is
Samaritan's time as a multiple of that of the better HAProxy: the median of the comparisons of slices with their neighbours; *19 of 20* is
where the true one is, 19 times out of 20.
`

const turnNote = `
Microseconds of the proxy's process. Short connections: connect, send 64 bytes, receive 64 bytes, close. Round trips: the same 64 bytes
there and back over connections that stay.
`

const latencyNote = `
Milliseconds; of a short connection until its answer is there. Clients, proxy and server share the machine, and all clients are as fast as they can be, so this
is mostly waiting for a processor.
`

const rateNote = `
As much as clients, proxy and server get through together on this machine. *No proxy* is the same clients at the same server, directly.
`

const memoryNote = `
Resident memory of the process. %d clients connect, ask once and go idle; each has a connection to the server, too. What the kernel keeps for
sockets is not in it.
`

const applyNote = `
From the moment the management server first tells a running daemon of the services: until the kernel says that each of them listens, and
until a client has had an answer from each of them, one after the other. CPU is the time of the daemon's process until they listen.
`

const stormNote = `
Round trips of 50 connections of a service that does not change, each of which asks once in 25 ms, while %d services from a management server
lose and get endpoints, one with each message, and while they do not. The two take turns of some seconds. *More* and *times* compare the
p99 of neighbours. The management server is in the process of the clients, so what it takes of the processors is in this, too.
`
