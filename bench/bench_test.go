package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/loadgen"
	"samaritan/bench/internal/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDefaultsMeasureEverything(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, allTargets, o.targets)
	assert.Equal(t, len(scenarios()), len(o.scenarios))
	assert.Equal(t, 5, o.rounds)
	assert.Equal(t, 3*time.Second, o.duration)
	assert.True(t, o.footprint)
	assert.Equal(t, "docs", o.docs)
}

func TestPartialRunsWriteNoDocuments(t *testing.T) {
	for _, args := range []string{"-short", "-scenario get", "-targets samaritan,twemproxy", "-stand-in", "-memory=false"} {
		o, err := parseOptions(strings.Fields(args), io.Discard)
		require.NoError(t, err, args)
		assert.Empty(t, o.docs, args)
		o, err = parseOptions(strings.Fields(args+" -docs x"), io.Discard)
		require.NoError(t, err, args)
		assert.Equal(t, "x", o.docs, args)
	}
}

func TestScenariosAreChosenByName(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-scenario get", "get"},
		{"-scenario get -scenario large", "get large"},
		{"-scenario pipeline.*|mget", "pipeline16 pipeline64 mget"},
	} {
		o, err := parseOptions(strings.Fields(c.args), io.Discard)
		require.NoError(t, err)
		var got []string
		for _, sc := range o.scenarios {
			got = append(got, sc.name)
		}
		assert.Equal(t, c.want, strings.Join(got, " "))
	}
}

func TestShortKeepsWhatIsGiven(t *testing.T) {
	o, err := parseOptions(strings.Fields("-short -rounds 3"), io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 3, o.rounds)
	assert.Equal(t, 1200*time.Millisecond, o.duration)
}

func TestBadUseIsAnError(t *testing.T) {
	for _, args := range []string{
		"-rounds 0", "-seconds 0", "-seconds NaN", "-starts 0", "-idle 0", "-idle 60000", "-targets memcached", "-check -targets samaritan", "-targets=", "-scenario nope",
		"-scenario (", "-unknown", "positional",
	} {
		_, err := parseOptions(strings.Fields(args), io.Discard)
		assert.Error(t, err, args)
	}
	_, err := parseOptions([]string{"-help"}, io.Discard)
	assert.ErrorIs(t, err, flag.ErrHelp)
}

func TestRunIsWhatTheLongRunAdds(t *testing.T) {
	long := cost{used: child.Usage{Total: 1010 * time.Millisecond, User: 250 * time.Millisecond, System: 750 * time.Millisecond}, requests: 101_000}
	connect := cost{used: child.Usage{Total: 10 * time.Millisecond}, requests: 1000}
	run := newRun(loadgen.Result{Rate: 5000, P50: time.Millisecond, P99: 2 * time.Millisecond}, long.sub(connect), 1<<20)
	assert.Equal(t, report.Run{Rate: 5000, CPU: 10, User: 2.5, System: 7.5, P50: 1, P99: 2, RSS: 1 << 20}, run)
}

func TestCombinedRun(t *testing.T) {
	run := combine([]report.Run{
		{Rate: 100, CPU: 10, User: 4, System: 6, P50: 1, P99: 9, RSS: 5},
		{Rate: 300, CPU: 20, User: 6, System: 14, P50: 2, P99: 8, RSS: 7},
	})
	assert.Equal(t, report.Run{Rate: 200, CPU: 15, User: 5, System: 10, P50: 2, P99: 9, RSS: 7}, run)
}

func TestFactsAreFound(t *testing.T) {
	assert.Equal(t, "7.0.15", field("Redis server v=7.0.15 sha=0 malloc=libc", "v="))
	assert.Equal(t, "0.5.0", field("This is nutcracker-0.5.0\n", "nutcracker-"))
	assert.Equal(t, "unknown", field("sh: not found", "nutcracker-"))
	assert.Equal(t, "samaritan dev", firstLine("\nsamaritan dev\nbuilt now\n"))
}

// TestSamaritanIsStartedAsUsersDo plays the daemon with a script that keeps its
// arguments and its config, and ends.
func TestSamaritanIsStartedAsUsersDo(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "samaritan")
	script := `#!/bin/sh
[ "$1" = -version ] && { echo "samaritan 1.2.3"; exit; }
echo "$@" >` + dir + `/args; cp "$2" ` + dir + `/config; echo 'not today' >&2; exit 1
`
	require.NoError(t, os.WriteFile(binary, []byte(script), 0o755))
	o, err := parseOptions([]string{"-proxy", binary, "-proxy-args", "-workers 1", "-targets", "samaritan", "-idle", "10"}, io.Discard)
	require.NoError(t, err)
	s, err := newStage(t.Context(), o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()

	m, err := s.machine(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "samaritan 1.2.3", m.Subject)
	_, err = s.open(t.Context(), report.Subject)
	assert.ErrorContains(t, err, "not today")
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	assert.Regexp(t, `^-config \S+/samaritan.yaml -data \S+ -workers 1\n$`, string(args))
	config, err := os.ReadFile(filepath.Join(dir, "config"))
	require.NoError(t, err)
	for _, n := range s.cluster.Nodes() {
		assert.Contains(t, string(config), "{ip: 127.0.0.1, port: "+strconv.Itoa(n.Port())+"}")
	}
}

// TestWholeRun measures everything once, briefly, with a stand-in.
func TestWholeRun(t *testing.T) {
	dir := t.TempDir()
	o, err := parseOptions(strings.Fields("-stand-in -rounds 1 -seconds 0.1 -starts 1 -idle 200 -scenario get|large -docs "+dir+" -json "+dir+"/all.json"), io.Discard)
	require.NoError(t, err)
	r, err := measure(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, r.Scenarios, 2)
	for _, sc := range r.Scenarios {
		for _, target := range allTargets {
			run, ok := sc.Median(target)
			require.True(t, ok, target)
			assert.Positive(t, run.Rate, target)
			assert.Positive(t, run.CPU, target)
			assert.Positive(t, run.RSS, target)
		}
		_, ok := sc.Ratio()
		assert.True(t, ok)
	}
	assert.Positive(t, r.Footprints[report.Subject].StartRSS)
	assert.Positive(t, r.Footprints[report.Subject].ReadyMillis)
	assert.Equal(t, 200, r.Footprints[report.Subject].Connections)

	require.NoError(t, errors.Join(writeDocs(o.docs, r), writeJSON(o.json, r)))
	for _, name := range []string{"benchmark.md", "benchmark.svg"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
	text, err := os.ReadFile(o.json)
	require.NoError(t, err)
	var back report.Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Len(t, back.Scenarios, 2)
}

func TestMissingProgramIsAnErrorThatHelps(t *testing.T) {
	o, err := parseOptions([]string{"-proxy", "no/such/binary"}, io.Discard)
	require.NoError(t, err)
	_, err = newStage(t.Context(), o)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "make build")
}

func TestInterruptedRunEnds(t *testing.T) {
	o, err := parseOptions(strings.Fields("-stand-in -targets samaritan,twemproxy -memory=false -seconds 600 -scenario get"), io.Discard)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_, err = measure(ctx, o)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
