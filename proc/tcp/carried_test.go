package tcp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/stats"
)

// TestNumbersOfEndpointsGoOnInTheSuccessor: as long as the endpoint is one of the service.
func TestNumbersOfEndpointsGoOnInTheSuccessor(t *testing.T) {
	kept, left := serve(t, echo), serve(t, echo)
	parent := run(t, all(kept, left))
	for range 4 {
		exchange(t, parent.dial(), "hello")
	}
	carried := stats.NewCarried(nil)
	require.NoError(t, carried.Set(stats.Totals([]stats.Source{parent})))
	child := run(t, all(kept, left))
	exchange(t, child.dial(), "hello")
	value := func(endpoint string) float64 {
		snap := stats.Gather([]stats.Source{child, carried})
		assert.Zero(t, snap.Bad())
		for _, s := range snap.Samples() {
			if s.Name == "endpoint.cx_total" && s.Endpoint == endpoint {
				return s.Value
			}
		}
		return -1
	}
	assert.EqualValues(t, 5, value(kept)+value(left))
	assert.EqualValues(t, 2, parent.endpointStat("endpoint.cx_total", left))
	child.update(all(kept), drainTimeout(1))
	eventually(t, func() bool { return value(left) == -1 }, "its numbers are gone")
	assert.Positive(t, value(kept))
}
