package loadgen

import (
	"context"
	"errors"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	header = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"` + "\n"
	row    = `"GET key:__rand_int__","74571.22","0.384","0.096","0.295","0.847","1.135","5.703"` + "\n"
)

func TestOutputIsParsed(t *testing.T) {
	r, err := parseCSV(header + row)
	require.NoError(t, err)
	assert.Equal(t, Result{Rate: 74571.22, P50: 295 * time.Microsecond, P99: 1135 * time.Microsecond}, r)
}

func TestRunWithinAMillisecondHasNoFiniteRate(t *testing.T) {
	r, err := parseCSV(header + strings.Replace(row, "74571.22", "inf", 1))
	require.NoError(t, err)
	assert.Equal(t, math.Inf(1), r.Rate)
}

func TestUnknownOutputIsAnError(t *testing.T) {
	for _, out := range []string{
		"",
		header,
		header + row + row,
		strings.Replace(header, "rps", "requests", 1) + row,
		header + strings.Replace(row, "74571.22", "fast", 1),
		header + strings.Replace(row, "74571.22", "0.00", 1),
		header + strings.Replace(row, "74571.22", "NaN", 1),
		header + strings.Replace(row, "1.135", "-1", 1),
		header + strings.Replace(row, "1.135", "inf", 1),
		header + `"GET","1"` + "\n",
		"Could not connect to Redis\n",
	} {
		_, err := parseCSV(out)
		assert.ErrorIs(t, err, errOutput, out)
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add(header + row)
	f.Add("")
	f.Fuzz(func(t *testing.T, out string) {
		r, err := parseCSV(out)
		if err == nil && (r.Rate <= 0 || r.P50 < 0 || r.P99 < 0) {
			t.Errorf("accepted %q as %+v", out, r)
		}
	})
}

func TestCommandLine(t *testing.T) {
	l := Load{Command: []string{"GET", "key:" + RandomKey}, Clients: 50, Pipeline: 16, Keys: 1000}
	assert.Equal(t, "-h 127.0.0.1 -p 7000 --csv -c 50 -P 16 -r 1000 -n 8000 GET key:__rand_int__", strings.Join(l.args(7000, 8000), " "))
	assert.Equal(t, []any{"GET", "key:000000000007"}, l.command(7))
}

// fake plays a redis-benchmark that serves a thousand requests per second and
// notes what it was asked for.
type fake struct{ counts []int }

func (f *fake) run(_ context.Context, name string, args ...string) ([]byte, error) {
	if name != Binary {
		return nil, errors.New("wrong program")
	}
	for i, arg := range args {
		if arg == "-n" {
			n, err := strconv.Atoi(args[i+1])
			f.counts = append(f.counts, n)
			return []byte(header + strings.Replace(row, "74571.22", "100000.00", 1)), err
		}
	}
	return nil, errors.New("no -n")
}

func TestRunsTakeAsLongAsWanted(t *testing.T) {
	f := &fake{}
	g := NewGenerator(f.run, Load{Command: []string{"GET"}, Clients: 50, Pipeline: 16, Keys: 1}, 7000)
	r, err := g.For(t.Context(), 2*time.Second)
	require.NoError(t, err)
	assert.Equal(t, []int{2000, 8000, 32000, 200000}, f.counts)
	assert.Equal(t, 200000, r.Requests)

	f.counts = nil
	_, err = g.For(t.Context(), time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, []int{1600}, f.counts, "two whole pipelines for each connection")

	f.counts = nil
	r, err = g.Connect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 800, r.Requests)
	assert.Equal(t, []int{800}, f.counts, "one pipeline for each connection")
}

func TestFailedRunNamesTheCommand(t *testing.T) {
	fail := func(context.Context, string, ...string) ([]byte, error) { return nil, errors.New("refused") }
	g := NewGenerator(fail, Load{Command: []string{"GET"}, Clients: 50, Pipeline: 1}, 7000)
	_, err := g.For(t.Context(), time.Second)
	assert.ErrorContains(t, err, "GET with 50 connections: refused")
}

func TestAgainstRedis(t *testing.T) {
	server := testredis.StartServer(t)
	get := Load{Command: []string{"MGET", "key:" + RandomKey, "key:" + RandomKey}, Clients: 5, Pipeline: 4, Keys: 100}
	assert.ErrorIs(t, Probe(server.Addr(), get), errProbe)
	require.NoError(t, Fill(server.Addr(), "key:", strings.Repeat("v", 100), 100))
	require.NoError(t, Probe(server.Addr(), get))
	size, err := server.Do("DBSIZE")
	require.NoError(t, err)
	assert.EqualValues(t, 100, size)

	run := func(ctx context.Context, name string, args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, name, args...).Output()
	}
	r, err := NewGenerator(run, get, server.Port()).Requests(t.Context(), 1000)
	require.NoError(t, err)
	assert.Positive(t, r.Rate)
	assert.Positive(t, r.P99)

	bad := Load{Command: []string{"GET", "a", "b"}, Clients: 1, Pipeline: 1, Keys: 1}
	assert.Error(t, Probe(server.Addr(), bad))
	_, err = NewGenerator(run, bad, server.Port()).Requests(t.Context(), 10)
	assert.Error(t, err, "error replies must not count as requests")
}
