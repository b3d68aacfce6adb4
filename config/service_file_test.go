package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/api/service"
)

const webFile = `# a comment
config:
  listener: {address: {ip: 127.0.0.1, port: 12345}}
  protocol: TCP
endpoints:
  - address: {ip: 10.0.0.1, port: 80}
  - address: {ip: 10.0.0.2, port: 80}
    type: BACKUP
`

func TestServiceFileIsAnEntryOfStaticServices(t *testing.T) {
	for name, text := range map[string]string{
		"plain":           webFile,
		"begins with ---": "# first\n---\n" + webFile,
		"ends with ...":   webFile + "...\n",
		"byte order mark": "\ufeff" + webFile,
		"CR LF":           strings.ReplaceAll(webFile, "\n", "\r\n"),
		"no last line":    strings.TrimSpace(webFile),
		"with its name":   webFile + "name: web\n",
		"empty name":      webFile + "name: ''\n",
		"further in":      "  " + strings.ReplaceAll(strings.TrimSpace(webFile), "\n", "\n  ") + "\n",
		"JSON": `{"config": {"listener": {"address": {"ip": "127.0.0.1", "port": 12345}}, "protocol": "TCP"},
			"endpoints": [{"address": {"ip": "10.0.0.1", "port": 80}}, {"address": {"ip": "10.0.0.2", "port": 80}, "type": "BACKUP"}]}`,
		"anchor":         strings.Replace(webFile, "{ip: 10.0.0.1, port: 80}", "&a {ip: 10.0.0.1, port: 80}", 1),
		"endpoint twice": webFile + "  - address: {ip: 10.0.0.1, port: 80}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseService("web.yaml", "web", []byte(text))
			require.NoError(t, err)
			assert.Equal(t, "web", s.Name)
			assert.Equal(t, protocol.Protocol_TCP, s.Config.Protocol)
			assert.EqualValues(t, 12345, s.Config.Listener.Address.Port, "though it is the usual port of the admin server")
			assert.Equal(t, 3*time.Second, s.Config.ConnectTimeout.AsDuration(), "defaults are filled in")
			require.Len(t, s.Endpoints, 2)
			assert.Equal(t, service.Endpoint_BACKUP, s.Endpoints[1].Type)
		})
	}
}

func TestProblemOfAServiceFileNamesLineAndField(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "f: is empty"},
		"only comments": {"# a\n# b\n", "f: is empty"},
		"a list":        {"- 1\n", "f:1: must be a mapping, is a list"},
		"nothing":       {"{}", "f: endpoints: must have at least one endpoint\nf: config: is required"},
		"unknown field": {webFile + "confg: {}\n", "f:9: confg: unknown field, did you mean config?"},
		"deep":          {strings.Replace(webFile, "port: 12345", "port: 70000", 1), "f:3: config.listener.address.port: must be 0..65535, is 70000"},
		"in a list":     {strings.Replace(webFile, "10.0.0.2", "10.0.0", 1), `f:7: endpoints[1].address.ip: must be an IPv4 or IPv6 address, is "10.0.0"`},
		"missing":       {"config:\n  protocol: TCP\nendpoints: [{address: {ip: 10.0.0.1, port: 1}}]\n", "f:1: config.listener: is required"},
		"no config":     {"\nendpoints: [{address: {ip: 10.0.0.1, port: 1}}]\n", "f: config: is required"},
		"no endpoints":  {"\n\n" + strings.Split(webFile, "endpoints")[0], "f: endpoints: must have at least one endpoint"},
		"given twice":   {webFile + "endpoints: []\n", "f:9: endpoints: is given twice, first in line 5"},
		"other line":    {strings.ReplaceAll(webFile, "10.0.0.2", "10.0.0.1"), "f:7: endpoints[1]: differs from endpoints[0] (line 6), which has the same address"},
		"no YAML":       {"config: [\n", "f:1: did not find expected node content"},
		"two documents": {webFile + "---\n" + webFile, "f:11: has more than one document"},
		"other name":    {webFile + "name: wob\n", `f:9: name: must be "web" or be left out, is "wob"`},
		"odd name":      {webFile + "name: 7\n", "f:9: name: must be a string (put it in quotes), is 7"},
		"whole config":  {"static_services: []\n" + webFile, "f:1: static_services: unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseService("f", "web", []byte(c.text))
			assert.Nil(t, s)
			assert.EqualError(t, err, c.want)
		})
	}
}

func TestNameOfAServiceFileIsChecked(t *testing.T) {
	for name, want := range map[string]string{
		"":                       "f: name: is required",
		"a\nb":                   `f: name: must be printable, is "a\nb"`,
		strings.Repeat("x", 256): "f: name: must have at most 255 bytes, has 256",
	} {
		_, err := ParseService("f", name, []byte(webFile))
		assert.EqualError(t, err, want)
	}
}

func TestProblemsOfAServiceFileHoldNoSecret(t *testing.T) {
	text := strings.Replace(webFile, "protocol: TCP", "protocol: TCP\n  health_check: {redis_checker: {password: [hunter2]}}", 1)
	_, err := ParseService("f", "web", []byte(text))
	assert.ErrorContains(t, err, "f:5: config.health_check.redis_checker.password: must be a string")
	assert.NotContains(t, err.Error(), "hunter2")
}

// A service file and a config file with the same service in it are the same.
func FuzzParseService(f *testing.F) {
	for _, text := range []string{webFile, "{}", "--- {a: &x 1, <<: *x}\n...", "\ufeff{config: {}}", "endpoints: [{}]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseService("f", "web", text)
		if err != nil {
			var problems Problems
			require.Nil(t, s)
			require.True(t, errors.As(err, &problems))
			require.NotEmpty(t, problems)
			return
		}
		entry, err := s.MarshalJSON()
		require.NoError(t, err)
		whole, err := json.Marshal(map[string]any{
			"admin":           map[string]any{"bind": map[string]any{"ip": "127.0.0.1", "port": 0}},
			"static_services": []json.RawMessage{entry},
		})
		require.NoError(t, err)
		b, err := Parse("whole", whole)
		require.NoError(t, err, "%s", whole)
		again, err := b.Services[0].MarshalJSON()
		require.NoError(t, err)
		require.JSONEq(t, string(entry), string(again))
	})
}
