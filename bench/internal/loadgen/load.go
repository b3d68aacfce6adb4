package loadgen

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RandomKey stands for a random key number of 12 digits in an argument of a
// command. Each occurrence is drawn anew for each request.
const RandomKey = "__rand_int__"

// Load is what clients do.
type Load struct {
	Command  []string // with RandomKey in it
	Clients  int      // connections
	Pipeline int      // requests that a connection sends at once; at least 1
	Keys     int      // key numbers go from 0 to Keys-1
}

// Result is what one run of redis-benchmark measured.
type Result struct {
	Requests int
	Rate     float64       // requests per second; +Inf when they took less than 1 ms
	P50, P99 time.Duration // latency; with pipelining, of the whole pipeline
}

// smallest returns the number of requests with which each connection sends one
// pipeline.
func (l Load) smallest() int { return l.Clients * l.Pipeline }

// args returns the command line of redis-benchmark for n requests.
func (l Load) args(port, n int) []string {
	args := []string{
		"-h", "127.0.0.1", "-p", strconv.Itoa(port), "--csv",
		"-c", strconv.Itoa(l.Clients), "-P", strconv.Itoa(l.Pipeline),
		"-r", strconv.Itoa(l.Keys), "-n", strconv.Itoa(n),
	}
	return append(args, l.Command...)
}

// command returns the load's command as arguments for key number n.
func (l Load) command(n int) []any {
	args := make([]any, len(l.Command))
	for i, arg := range l.Command {
		args[i] = strings.ReplaceAll(arg, RandomKey, keyNumber(n))
	}
	return args
}

// keyNumber formats a key number as redis-benchmark does.
func keyNumber(n int) string { return fmt.Sprintf("%012d", n) }

// errOutput says that redis-benchmark printed something unknown.
var errOutput = errors.New("unexpected output of redis-benchmark")

// parseCSV reads the output of redis-benchmark --csv: a line of column names
// and one line of values, times in milliseconds.
func parseCSV(out string) (Result, error) {
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", errOutput, err)
	}
	if len(rows) != 2 {
		return Result{}, fmt.Errorf("%w: %d lines", errOutput, len(rows))
	}
	rate, err1 := column(rows, "rps", math.Inf(1))
	p50, err2 := column(rows, "p50_latency_ms", mostMillis)
	p99, err3 := column(rows, "p99_latency_ms", mostMillis)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Result{}, err
	}
	if rate <= 0 {
		return Result{}, fmt.Errorf("%w: rate %g", errOutput, rate)
	}
	return Result{Rate: rate, P50: milliseconds(p50), P99: milliseconds(p99)}, nil
}

// mostMillis bounds a latency: a day.
const mostMillis = 24 * 60 * 60 * 1000

// column returns a number from the one row of values, 0 to most.
func column(rows [][]string, name string, most float64) (float64, error) {
	i := slices.Index(rows[0], name)
	if i < 0 {
		return 0, fmt.Errorf("%w: no column %s", errOutput, name)
	}
	v, err := strconv.ParseFloat(rows[1][i], 64)
	if err != nil || !(v >= 0 && v <= most) { // NaN, too
		return 0, fmt.Errorf("%w: %s is %q", errOutput, name, rows[1][i])
	}
	return v, nil
}

func milliseconds(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond))
}
