package dynamic

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api"
	"samaritan/api/service"
)

// many are the names of n services.
func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("service-%05d", i)
	}
	return names
}

// ten are the endpoints of one of many services.
func ten(i int) []*service.Endpoint {
	hosts := make([]int, 10)
	for j := range hosts {
		hosts[j] = 10*i + j
	}
	return at(hosts...)
}

func TestThousandServicesAtOnce(t *testing.T) {
	const n = 1000
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	names := many(n)
	began := time.Now()
	p.depends(names, nil)
	updated := map[string]*service.Config{}
	for i, name := range names {
		updated[name] = tcpConfig(uint32(10000 + i))
	}
	p.wants(names...)
	require.NoError(t, p.c.send(&api.SvcConfigDiscoveryResponse{Updated: updated}))
	for i, name := range names {
		p.hosts(name, ten(i), nil)
	}
	require.Eventually(t, func() bool { return len(r.services()) == n }, within, time.Millisecond)
	t.Logf("%d services after %s, in %d calls of Apply", n, time.Since(began), r.count())
	assert.Less(t, r.count(), n/10)
}

func TestStormOfChangesIsAppliedInFewSteps(t *testing.T) {
	const n = 10_000
	s := listen(t, "")
	r, p := two(t, s)
	b, calls := r.get("b"), r.count()
	for i := range n {
		if i%2 == 0 {
			p.hosts("a", at(100+i), nil)
		} else {
			p.hosts("a", nil, at(100+i-1))
		}
	}
	p.hosts("a", at(5), nil)
	r.runs("a:1001[1 5] b:1002[2]")
	t.Logf("%d changes in %d calls of Apply", n, r.count()-calls)
	assert.Less(t, r.count()-calls, n/20)
	assert.Same(t, b, r.get("b"))
	assert.Equal(t, float64(n+6), r.stat("updates_total"))
}

func TestHundredThousandEndpoints(t *testing.T) {
	const n = 100_000
	s := listen(t, "")
	r, p := two(t, s)
	hosts := make([]int, n)
	for i := range hosts {
		hosts[i] = i + 1
	}
	began := time.Now()
	p.hosts("a", at(hosts...), nil)
	require.Eventually(t, func() bool { return len(r.get("a").Endpoints) == n }, within, time.Millisecond)
	t.Logf("%d endpoints after %s", n, time.Since(began))
	calls := r.count()
	for i := range 200 { // each of which makes the whole service anew
		p.hosts("a", nil, at(i+1))
	}
	require.Eventually(t, func() bool { return len(r.get("a").Endpoints) == n-200 }, within, time.Millisecond)
	t.Logf("200 changes of it in %d calls of Apply", r.count()-calls)
	assert.Less(t, r.count()-calls, 50)
	assert.Equal(t, "1002", fmt.Sprint(r.get("b").Config.Listener.Address.Port))
}
