package dynamic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/hc"
	"samaritan/api/service"
)

func someState() *state {
	c := tcpConfig(1001)
	c.HealthCheck = &hc.HealthCheck{Checker: &hc.HealthCheck_RedisChecker{RedisChecker: &hc.RedisChecker{Password: "secret"}}}
	return &state{
		Current: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Endpoint: "h:1", ID: "web-1", Belong: "web",
		services: []savedService{
			{name: "a", config: c, known: true, endpoints: at(1, 2)},
			{name: "b <&> \u2028", config: tcpConfig(0)},
			{name: "c", known: true},
			{name: "d", config: &service.Config{Protocol: 99}}, // not valid, and kept as it is
		},
	}
}

func TestStateFileRoundTrip(t *testing.T) {
	want := someState()
	text, err := want.encode()
	require.NoError(t, err)
	assert.Contains(t, string(text), `{"name":"c","endpoints":[]}`)
	assert.Contains(t, string(text), "\n"+`{"name":"a","config":{"listener":{"address":{"ip":"127.0.0.1","port":1001}}`)
	got, err := decodeState(text)
	require.NoError(t, err)
	assert.Equal(t, []string{"h:1", "web-1", "web"}, []string{got.Endpoint, got.ID, got.Belong})
	assert.True(t, want.Current.Equal(got.Current))
	requireSame(t, want, got)
}

func requireSame(t *testing.T, want, got *state) {
	t.Helper()
	require.Len(t, got.services, len(want.services))
	for i, w := range want.services {
		g := got.services[i]
		require.Equal(t, []any{w.name, w.known, w.config != nil, len(w.endpoints)}, []any{g.name, g.known, g.config != nil, len(g.endpoints)})
		require.True(t, proto.Equal(w.config, g.config))
		for j := range w.endpoints {
			require.True(t, proto.Equal(w.endpoints[j], g.endpoints[j]))
		}
	}
}

// FuzzState: whatever stands in the file, reading it ends well, and what was read
// is the same once it was written and read again.
func FuzzState(f *testing.F) {
	good, err := someState().encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"format":"samaritan dynamic state","version":1,"services":[{"name":"\ud800","config":null,"endpoints":[null]}]}`))
	f.Add([]byte(`{"format":"samaritan dynamic state","version":1,"services":[{"name":"a","config":{"connect_timeout":"-3s","idle_timeout":"999999999999s"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := decodeState(text)
		if err != nil {
			return
		}
		m := newModel(quiet())
		m.load(first.services)
		m.build()
		again := &state{services: m.save()}
		text, err = again.encode()
		require.NoError(t, err)
		second, err := decodeState(text)
		require.NoError(t, err)
		requireSame(t, again, second)
	})
}
