package directory

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
)

const web = `# a comment
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
		"plain":           web,
		"begins with ---": "# first\n---\n" + web,
		"byte order mark": "\ufeff" + web,
		"CR LF":           strings.ReplaceAll(web, "\n", "\r\n"),
		"no last line":    strings.TrimSpace(web),
		"with its name":   web + "name: web\n",
		"further in":      "  " + strings.ReplaceAll(strings.TrimSpace(web), "\n", "\n  ") + "\n",
		"JSON": `{"config": {"listener": {"address": {"ip": "127.0.0.1", "port": 12345}}, "protocol": "TCP"},
			"endpoints": [{"address": {"ip": "10.0.0.1", "port": 80}}, {"address": {"ip": "10.0.0.2", "port": 80}, "type": "BACKUP"}]}`,
		"anchor": strings.Replace(web, "{ip: 10.0.0.1, port: 80}", "&a {ip: 10.0.0.1, port: 80}", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseService("web.yaml", "web", []byte(text))
			require.NoError(t, err)
			assert.Equal(t, "web", s.Name)
			assert.Equal(t, protocol.Protocol_TCP, s.Config.Protocol)
			assert.Equal(t, 3*time.Second, s.Config.ConnectTimeout.AsDuration(), "defaults are filled in")
			assert.Len(t, s.Endpoints, 2)
		})
	}
}

func TestProblemNamesFileLineAndField(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "f: must be a mapping, is null"},
		"only comments": {"# a\n# b\n", "f: must be a mapping, is null"},
		"a list":        {"- 1\n", "f:1: must be a mapping, is a list"},
		"unknown field": {web + "confg: {}\n", "f:9: confg: unknown field, did you mean config?"},
		"deep":          {strings.Replace(web, "port: 12345", "port: 70000", 1), "f:3: config.listener.address.port: must be 0..65535, is 70000"},
		"in a list":     {strings.Replace(web, "10.0.0.2", "10.0.0", 1), `f:7: endpoints[1].address.ip: must be an IPv4 or IPv6 address, is "10.0.0"`},
		"missing":       {"config:\n  protocol: TCP\nendpoints: [{address: {ip: 10.0.0.1, port: 1}}]\n", "f:1: config.listener: is required"},
		"no endpoints":  {"\n\n" + strings.Split(web, "endpoints")[0], "f:4: endpoints: must have at least one endpoint"},
		"twice":         {web + "endpoints: []\n", "f:9: endpoints: is given twice, first in line 5"},
		"other line":    {strings.ReplaceAll(web, "10.0.0.2", "10.0.0.1"), "f:7: endpoints[1]: differs from endpoints[0] (line 6), which has the same address"},
		"no YAML":       {"config: [\n", "f:1: did not find expected node content"},
		"two documents": {web + "---\n" + web, "f:10: could not find expected ':'"},
		"more after it": {"{a: 1}\n---\n{b: 1}\n", "f:1: did not find expected key"},
		"other name":    {web + "name: wob\n", `f: name: must be "web" like the file, or be left out`},
		"odd name":      {web + "name: 7\n", "f:9: name: must be a string (put it in quotes), is 7"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseService("f", "web", []byte(c.text))
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "static_services")
		})
	}
}

func TestNameOfAFileIsChecked(t *testing.T) {
	_, err := parseService("f", strings.Repeat("x", 256), []byte(web))
	assert.EqualError(t, err, "f: name: must have at most 255 bytes, has 256")
	_, err = parseService("f", "a\nb", []byte(web))
	assert.EqualError(t, err, `f: name: must be printable, is "a\nb"`)
}

func TestSecretsAreNotInProblems(t *testing.T) {
	text := strings.Replace(web, "protocol: TCP", "protocol: TCP\n  health_check: {redis_checker: {password: [hunter2]}}", 1)
	_, err := parseService("f", "web", []byte(text))
	assert.ErrorContains(t, err, "f:5: config.health_check.redis_checker.password: must be a string")
	assert.NotContains(t, err.Error(), "hunter2")
}

func FuzzServiceFile(f *testing.F) {
	f.Add([]byte(web))
	f.Add([]byte("{}"))
	f.Add([]byte("--- {a: &x 1, <<: *x}\n..."))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseService("f", "web", text)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
	})
}
