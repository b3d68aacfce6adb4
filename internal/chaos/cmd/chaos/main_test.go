package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/chaos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListShowsAllFaults(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-list"}, &out, io.Discard))
	for _, f := range chaos.Faults() {
		assert.Contains(t, out.String(), f.Name)
		assert.Contains(t, out.String(), f.Help)
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{{"-faults", "("}, {"-faults", "^no such fault$"}, {"surplus"}, {"-no-such-flag"}, {"-scale", "x"}} {
		var out bytes.Buffer
		assert.Error(t, run(t.Context(), args, &out, io.Discard), args)
		assert.Empty(t, out.String())
	}
}

func TestLongFaultsAreForTheLongForm(t *testing.T) {
	count := func(args ...string) (all, long int) {
		o, err := parse(args, io.Discard)
		require.NoError(t, err)
		for _, f := range chosen(o) {
			all++
			if f.Long {
				long++
			}
		}
		return all, long
	}
	_, long := count("-scale", "1")
	assert.Zero(t, long)
	all, long := count()
	assert.Positive(t, long)
	assert.Equal(t, len(chaos.Faults()), all)
	all, long = count("-scale", "1", "-faults", "^storm$")
	assert.Equal(t, 1, all)
	assert.Equal(t, 1, long)
}

func TestSeedIsDrawnUnlessGiven(t *testing.T) {
	drawn, err := parse(nil, io.Discard)
	require.NoError(t, err)
	assert.NotZero(t, drawn.suite.Seed)
	given, err := parse([]string{"-seed", "42"}, io.Discard)
	require.NoError(t, err)
	assert.EqualValues(t, 42, given.suite.Seed)
}

func TestViolationsFailTheRun(t *testing.T) {
	var out bytes.Buffer
	about := chaos.About{Seed: 42, Scale: 3}
	require.NoError(t, verdict(&out, about, []chaos.Result{{Name: "calm"}}))
	assert.Contains(t, out.String(), "clean: 1 faults")
	out.Reset()
	err := verdict(&out, about, []chaos.Result{{Name: "calm"}, {Name: "cut", Violations: []string{"it hangs"}}})
	require.ErrorIs(t, err, errViolations)
	assert.Contains(t, out.String(), "it hangs")
	assert.Contains(t, out.String(), "-seed 42 -scale 3 -faults '^cut$'")
}

func TestWhatRedisItselfLosesIsToldAndFailsNothing(t *testing.T) {
	var out bytes.Buffer
	lossy := chaos.Result{Name: "migrate", OwnRounds: 1, Own: []chaos.OwnLoss{{Node: "127.0.0.1:7000", Slot: 5568, Had: 18}}}
	require.NoError(t, verdict(&out, chaos.About{}, []chaos.Result{{Name: "calm"}, lossy}))
	assert.Contains(t, out.String(), "migrate: lost by Redis itself: slot 5568 at 127.0.0.1:7000: 0 of 18 keys")
	assert.Contains(t, out.String(), "clean: 2 faults")
}

func TestIsolationRefusesNamesThatMatchNothing(t *testing.T) {
	var out bytes.Buffer
	assert.ErrorContains(t, run(t.Context(), []string{"-isolation", "-faults", "^no such scenario$"}, &out, io.Discard), "no scenario matches")
	assert.Empty(t, out.String())
}
