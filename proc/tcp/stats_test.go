package tcp

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/service"
	"samaritan/internal/stats"
)

func TestStatsOfAServiceAndItsEndpoints(t *testing.T) {
	a := serve(t, echo)
	p := run(t, all(a))
	c := p.dial()
	exchange(t, c, "hello")
	require.NoError(t, c.Close())
	p.becomes("downstream.cx_destroy_total", 1)
	for name, want := range map[string]float64{
		"downstream.cx_total": 1, "downstream.cx_active": 0, "downstream.cx_length_sec": 1,
		"downstream.cx_rx_bytes_total": 5, "downstream.cx_tx_bytes_total": 5,
		"upstream.cx_total": 1, "upstream.cx_active": 0, "upstream.cx_length_sec": 1, "upstream.cx_connect_ms": 1,
		"upstream.cx_rx_bytes_total": 5, "upstream.cx_tx_bytes_total": 5, "upstream.endpoints_up": 1,
	} {
		assert.Equal(t, want, p.stat(name), name)
	}
	for name, want := range map[string]float64{
		"endpoint.cx_total": 1, "endpoint.cx_active": 0, "endpoint.up": 1, "endpoint.cx_connect_fail": 0,
		"endpoint.cx_rx_bytes_total": 5, "endpoint.cx_tx_bytes_total": 5,
	} {
		assert.Equal(t, want, p.endpointStat(name, a), name)
	}
	var text bytes.Buffer
	s := stats.Gather([]stats.Source{p})
	require.NoError(t, s.WriteText(&text, ""))
	assert.Zero(t, s.Bad())
	assert.Regexp(t, `service\.web\.endpoint\.127_0_0_1_\d+\.cx_total: 1\n`, text.String())
}

func TestBytesAreCountedWhileTheyMove(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	c := p.dial()
	for i := range 10 {
		_, err := c.Write(make([]byte, 1000))
		require.NoError(t, err)
		p.becomes("upstream.cx_tx_bytes_total", float64(1000*(i+1)))
	}
}

func TestStatsBeforeRun(t *testing.T) {
	p, err := New(newService(t, all("10.0.0.1:1")), testEnv(t))
	require.NoError(t, err)
	n := 0
	p.Stats(func(s stats.Sample) {
		n++
		if s.Kind == stats.Counter {
			assert.Zero(t, s.Value, s.Name)
		}
	})
	assert.NotZero(t, n)
}

func TestEndpointsAreShown(t *testing.T) {
	a, b, bad := named(t, "a"), named(t, "b"), refusing(t)
	p := run(t, append(all(a), backup(b), marked("10.0.0.1:1", service.Endpoint_DOWN)))
	greeting(t, p.dial())
	p.update(append(all(bad), backup(b), marked("10.0.0.1:1", service.Endpoint_DOWN)))
	greeting(t, p.dial())
	text, err := json.Marshal(p.Endpoints())
	require.NoError(t, err)
	var got []map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	byAddress := map[string]map[string]any{}
	for _, ep := range got {
		byAddress[ep["address"].(string)] = ep
	}
	require.Len(t, byAddress, 4)
	until, err := time.Parse(time.RFC3339Nano, byAddress[bad]["resting_until"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(restMin), until, restMin)
	delete(byAddress[bad], "resting_until")
	one := func(address, typ, state string, more map[string]any) {
		t.Helper()
		want := map[string]any{
			"address": address, "type": typ, "state": state, "healthy": true, "draining": false,
			"active": 0.0, "total": 0.0, "connect_failures": 0.0, "rx_bytes": 0.0, "tx_bytes": 0.0,
		}
		for k, v := range more {
			want[k] = v
		}
		assert.Equal(t, want, byAddress[address])
	}
	one(a, "MAIN", "UP", map[string]any{"removed": true, "draining": true, "active": 1.0, "total": 1.0, "rx_bytes": 1.0})
	one(b, "BACKUP", "UP", map[string]any{"active": 1.0, "total": 1.0, "rx_bytes": 1.0})
	one(bad, "MAIN", "UP", map[string]any{"connect_failures": 1.0})
	one("10.0.0.1:1", "MAIN", "DOWN", nil)
}

// TestStatsAreDocumented compares what is emitted with the tables of the page.
func TestStatsAreDocumented(t *testing.T) {
	p, err := New(newService(t, all("10.0.0.1:1"), checked), testEnv(t))
	require.NoError(t, err)
	emitted := map[string]bool{}
	p.Stats(func(s stats.Sample) { emitted[s.Name] = true })
	assert.Equal(t, sorted(emitted), sorted(documented(t)))
}

// documented returns the names in two sections of the page, without the endpoints. Above
// each table stands what the names in it are behind.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile("../../docs/stats.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n## Health checks\n")
	require.True(t, found)
	sections, _, found := strings.Cut(rest, "\n## Config\n")
	require.True(t, found)
	names, behind := map[string]bool{}, ""
	for _, m := range regexp.MustCompile("(?m)`service\\.<name>\\.([a-z.]*)`|^\\| `([^`]+)` \\|").FindAllStringSubmatch(sections, -1) {
		if m[2] == "" {
			behind = m[1]
			continue
		}
		names[behind+strings.Replace(m[2], "<endpoint>.", "", 1)] = true
	}
	return names
}

func sorted(set map[string]bool) (names []string) {
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
