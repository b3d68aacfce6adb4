package main

import (
	"strings"

	"samaritan/bench/internal/loadgen"
)

// Sizes of what gets loaded into the servers.
const (
	smallKeys  = 100_000
	smallValue = 64 // bytes
	largeKeys  = 1000
	largeValue = 16 << 10 // bytes

	smallPrefix = "key:"
	largePrefix = "big:"
)

// Budgets of memory and start.
const (
	budgetRSS           = 20  // MiB right after the start
	budgetPerConnection = 3   // KiB per idle client connection
	budgetReady         = 100 // ms from the start until the service is ready
)

// scenario is one kind of load and its budget.
type scenario struct {
	name   string
	title  string
	detail string
	budget float64 // of Samaritan's CPU per request, as a multiple of twemproxy's
	loads  []loadgen.Load
}

// scenarios are all there are, in the order in which they run.
func scenarios() []scenario {
	get, set := []string{"GET", small}, []string{"SET", small, strings.Repeat("v", smallValue)}
	bigGet, bigSet := []string{"GET", large}, []string{"SET", large, strings.Repeat("v", largeValue)}
	mget := append([]string{"MGET"}, strings.Fields(strings.Repeat(small+" ", 10))...)
	return []scenario{
		{"get", "GET", "50 connections, no pipelining", 0.90, loads(smallKeys, 50, 1, get)},
		{"pipeline16", "GET and SET, pipeline 16", "50 connections", 0.85, loads(smallKeys, 50, 16, get, set)},
		{"pipeline64", "GET, pipeline 64", "200 connections", 0.30, loads(smallKeys, 200, 64, get)},
		{"mget", "MGET of 10 keys", "50 connections, over 3 nodes", 0.75, loads(smallKeys, 50, 1, mget)},
		{"large", "16 KiB values", "GET and SET, 50 connections", 0.40, loads(largeKeys, 50, 1, bigGet, bigSet)},
		{"large16", "16 KiB, pipeline 16", "GET and SET, 50 connections", 0.40, loads(largeKeys, 50, 16, bigGet, bigSet)},
		{"connections", "GET, 1,000 connections", "no pipelining", 0.75, loads(smallKeys, 1000, 1, get)},
	}
}

// Random keys of the two sizes of values.
const (
	small = smallPrefix + loadgen.RandomKey
	large = largePrefix + loadgen.RandomKey
)

// loads makes one load per command.
func loads(keys, clients, pipeline int, commands ...[]string) []loadgen.Load {
	var all []loadgen.Load
	for _, command := range commands {
		all = append(all, loadgen.Load{Command: command, Clients: clients, Pipeline: pipeline, Keys: keys})
	}
	return all
}
