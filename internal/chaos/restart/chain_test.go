package restart

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// mostInCI is what no request may take on any machine.
const mostInCI = 5 * time.Second

func runChain(t *testing.T, restarts int) ChainReport {
	t.Helper()
	r, err := RunChain(t.Context(), ChainOptions{
		Binary: samaritan(t), Dir: t.TempDir(), Reaper: reaper,
		Nodes: testredis.Shared(t, testredis.Options{}).Addrs(), Restarts: restarts, Clients: 200,
		Pauses: [2]time.Duration{200 * time.Millisecond, 600 * time.Millisecond}, Calm: time.Second,
		Seed: 1, Logf: t.Logf,
	})
	require.NoError(t, err)
	t.Logf("%d restarts, %d requests, %d visits, %d scrapes\nduring restarts %+v\nin the calm %+v\nnewcomers %+v\nusage %+v",
		r.Restarts, r.Requests, r.Visits, r.Scrapes, r.During, r.Calm, r.Doors, r.Usages)
	for _, v := range r.Violations {
		t.Error(v)
	}
	return r
}

// TestChainOfRestartsUnderLoad is the short form of make chaos-restart.
func TestChainOfRestartsUnderLoad(t *testing.T) {
	const restarts = 8
	r := runChain(t, restarts)
	assert.Equal(t, restarts, r.Restarts)
	assert.Less(t, max(r.During.Worst, r.Doors.Worst), mostInCI)
	for _, n := range []int{int(r.Requests), int(r.Visits), r.Scrapes, r.During.Count, r.Calm.Count, r.Doors.Count, len(r.Usages)} {
		assert.Positive(t, n)
	}
}

func TestLoadWithoutRestartsIsClean(t *testing.T) {
	r := runChain(t, 0)
	assert.Positive(t, r.Requests)
	assert.Positive(t, r.Visits)
	assert.Positive(t, r.Scrapes)
	assert.Zero(t, r.During.Count)
}

func TestIdleConnectionsAreHandedOver(t *testing.T) {
	const most = 20 * time.Second
	r, err := RunIdle(t.Context(), IdleOptions{
		Programs: Programs{Samaritan: samaritan(t)}, Dir: t.TempDir(), Reaper: reaper,
		Nodes: testredis.Shared(t, testredis.Options{}).Addrs(), Conns: 2000, Logf: t.Logf,
	})
	require.NoError(t, err)
	t.Logf("%+v", r)
	assert.Positive(t, r.Conns)
	assert.Less(t, r.Moved, most)
}

func TestManyServicesAreHandedOver(t *testing.T) {
	const restarts = 2
	r, err := RunMany(t.Context(), ManyOptions{
		Programs: Programs{Samaritan: samaritan(t)}, Dir: t.TempDir(), Reaper: reaper,
		Nodes: testredis.Shared(t, testredis.Options{}).Addrs(), Services: 300, Restarts: restarts, Calm: time.Second, Logf: t.Logf,
	})
	require.NoError(t, err)
	t.Logf("%+v", r)
	assert.Len(t, r.Serving, restarts)
	assert.Positive(t, r.Calm.Count)
	assert.Positive(t, r.During.Count)
	assert.Less(t, r.During.Worst, mostInCI)
	assert.Less(t, r.Usage.Threads, 100, "services without clients need none")
}
