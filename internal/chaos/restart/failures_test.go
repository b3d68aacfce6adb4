package restart

import (
	"flag"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// atATime is how many scenarios run at a time: most of them wait most of the time.
const atATime = 12

// stand makes what rigs need.
func stand(t *testing.T) *Stand {
	t.Helper()
	return &Stand{
		Programs: Programs{
			Samaritan: samaritan(t), Misbehave: program(t, "misbehave"),
			OtherSessions: program(t, "other-sessions"),
		},
		Dir: t.TempDir(), Reaper: reaper, Nodes: testredis.Shared(t, testredis.Options{}).Addrs(),
	}
}

// only names scenarios to run, those of the long form too.
var only = flag.String("scenario", "", "regular expression of the scenarios to run, those of the long form too")

// chosen are the scenarios of the short form, or those that were asked for.
func chosen() []Scenario {
	want := regexp.MustCompile(*only)
	return slices.DeleteFunc(Scenarios(), func(s Scenario) bool {
		return *only == "" && s.Long || !want.MatchString(s.Name)
	})
}

// TestNewProcessThatFails is that, and all other restarts that are out of the ordinary: see
// Scenarios. Several run at a time.
func TestNewProcessThatFails(t *testing.T) {
	s, all := stand(t), chosen()
	require.NotEmpty(t, all)
	if *only != "" {
		s.Programs.OtherProtocol = program(t, "other-protocol")
	}
	results := make([]chan error, len(all))
	free := make(chan struct{}, atATime)
	var running sync.WaitGroup
	defer running.Wait()
	for i, one := range all {
		results[i] = make(chan error, 1)
		running.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			results[i] <- one.Run(t.Context(), s)
		})
	}
	for i, one := range all {
		t.Run(one.Name, func(t *testing.T) { assert.NoError(t, <-results[i]) })
	}
}
