package restart

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/internal/testredis"
)

// atATime is how many scenarios run at a time: most of them wait most of the time.
const atATime = 8

// stand makes what rigs need.
func stand(t *testing.T) *Stand {
	t.Helper()
	return &Stand{
		Programs: Programs{Samaritan: samaritan(t), Misbehave: program(t, "internal/chaos/restart/misbehave")},
		Dir:      t.TempDir(), Reaper: reaper, Nodes: testredis.Shared(t, testredis.Options{}).Addrs(),
	}
}

// TestNewProcessThatFails and the others that it stands for: see Scenarios.
func TestNewProcessThatFails(t *testing.T) {
	runScenarios(t, Scenarios())
}

// runScenarios runs several at a time, and reports them one by one.
func runScenarios(t *testing.T, all []Scenario) {
	t.Helper()
	s := stand(t)
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
