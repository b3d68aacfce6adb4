package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/admin"
	"samaritan/config"
)

func parsed(t *testing.T, text string) *config.Bootstrap {
	t.Helper()
	b, err := config.Parse("c.yaml", []byte(text))
	require.NoError(t, err)
	return b
}

const someConfig = `
instance: {id: a}
static_services:
  - name: b
    config: {listener: {address: {ip: 127.0.0.1, port: 1}}, protocol: Redis}
    endpoints: [{address: {ip: 10.0.0.1, port: 7000}}, {address: {ip: "::1", port: 7000}}]
  - name: a
    config: {listener: {address: {ip: 127.0.0.1, port: 2}}, protocol: TCP}
    endpoints: [{address: {ip: 10.0.0.1, port: 80}}]
`

func TestDifference(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want admin.Reloaded
	}{
		"nothing": {someConfig, admin.Reloaded{}},
		"only the form": {`
admin: {bind: {ip: 127.0.0.1, port: 12345}}
instance: {id: a, version: ""}
log: {output: {target: "h:1"}}
static_services:
  - name: a
    config: {protocol: TCP, connect_timeout: 3s, listener: {address: {ip: 127.0.0.1, port: 2}}}
    endpoints: [{address: {ip: 10.0.0.1, port: 80}, state: UP}]
  - name: b
    config: {listener: {address: {ip: 127.0.0.1, port: 1}}, protocol: Redis}
    endpoints: [{address: {ip: "0:0::1", port: 7000}}, {address: {ip: 10.0.0.1, port: 7000}}, {address: {ip: 10.0.0.1, port: 7000}}]
`, admin.Reloaded{}},
		"services": {`
instance: {id: a}
static_services:
  - name: d
    config: {listener: {address: {ip: 127.0.0.1, port: 3}}, protocol: Redis}
    endpoints: [{address: {ip: 10.0.0.1, port: 7000}}]
  - name: c
    config: {listener: {address: {ip: 127.0.0.1, port: 4}}, protocol: Redis}
    endpoints: [{address: {ip: 10.0.0.1, port: 7000}}]
  - name: a
    config: {listener: {address: {ip: 127.0.0.1, port: 2}}, idle_timeout: 1s, protocol: TCP}
    endpoints: [{address: {ip: 10.0.0.1, port: 80}, type: BACKUP}]
`, admin.Reloaded{Added: []string{"c", "d"}, Removed: []string{"b"}, Changed: []string{"a"}, Endpoints: []string{"a"}}},
		"settings": {`
instance: {id: b}
admin: {bind: {ip: 127.0.0.1, port: 1}}
log: {level: DEBUG, output: {type: SYSLOG, target: "h:1"}}
stats: {sinks: [{type: STATSD, endpoint: "h:1"}]}
dynamic_source_config: {endpoint: "h:1"}
`, admin.Reloaded{
			Removed:  []string{"a", "b"},
			Settings: []string{"admin.bind", "dynamic_source_config", "instance", "log.level", "log.output", "stats.sinks"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, difference(parsed(t, someConfig), parsed(t, tt.text)))
		})
	}
}
