package trial

import (
	"log/slog"
	"regexp"
	"time"

	"samaritan/bench/tcp/internal/stand"
)

// Options say what to measure, and how much.
type Options struct {
	Stand  stand.Options
	Rounds int           // of loads
	Slices int           // of each load and target in a round
	Slice  time.Duration // how long one is
	Chunk  uint64        // bytes of one download or upload

	IdleRounds int // measurements of memory
	Idle       int // connections

	Applies   int // measurements of all services at once
	Services  int
	Endpoints int // of each service

	Storms    int           // slices with changes, and as many without
	Storm     time.Duration // how long one is
	Changing  int           // services whose endpoints change
	PerMinute int           // changes

	Quick  bool // too short for anything that is timed to mean something
	Logger *slog.Logger

	// Only, when not nil, is what names of loads and of the steps memory, services and changes have to match.
	Only *regexp.Regexp
}

// Full is what the documents are made of.
func Full() Options {
	return Options{
		Rounds: 8, Slices: 4, Slice: 300 * time.Millisecond, Chunk: 32 << 20,
		IdleRounds: 3, Idle: 2000,
		Applies: 5, Services: 1000, Endpoints: 10,
		Storms: 12, Storm: 2 * time.Second, Changing: 100, PerMinute: 10_000,
	}
}

// Quick is enough to see that everything works.
func Quick() Options {
	return Options{
		Rounds: 1, Slices: 1, Slice: 20 * time.Millisecond, Chunk: 256 << 10,
		IdleRounds: 1, Idle: 50,
		Applies: 1, Services: 20, Endpoints: 10,
		Storms: 1, Storm: 200 * time.Millisecond, Changing: 10, PerMinute: 10_000,
		Quick: true,
	}
}

// Results are those of all steps. What was not wanted is empty.
type Results struct {
	Options Options
	Threads int // of each proxy
	Costs   []Cost
	Memory  *Memory
	Apply   *Apply
	Storm   *Storm
	Took    time.Duration
}
