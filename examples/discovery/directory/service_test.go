package directory

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestServiceHasTheNameOfItsFile(t *testing.T) {
	dir := newTree(t)
	for name, text := range map[string]string{
		"a.yaml":           web,
		"b.c.yml":          strings.Replace(web, "12345", "1", 1) + "name: b.c\n",
		"with a space.yml": strings.Replace(web, "12345", "2", 1),
	} {
		dir.write(t, "services/"+name, text)
	}
	got, err := Load(string(dir))
	require.NoError(t, err)
	for _, name := range []string{"a", "b.c", "with a space"} {
		require.Contains(t, got.Services, name)
		assert.Len(t, got.Services[name].Endpoints, 2)
		assert.NotNil(t, got.Services[name].Config.ConnectTimeout, "defaults are filled in")
	}
}

func TestProblemNamesFileLineAndField(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/deep.yaml", strings.Replace(web, "port: 80", "port: 70000", 1))
	dir.write(t, "services/list.yaml", "- 1\n")
	dir.write(t, "services/other.yaml", web+"name: wob\n")
	dir.write(t, "services/a\nb.yaml", strings.Replace(web, "12345", "1", 1))
	_, err := Load(string(dir))
	require.Error(t, err)
	text := strings.ReplaceAll(err.Error(), dir.path("services")+"/", "")
	for _, want := range []string{
		"deep.yaml:6: endpoints[0].address.port: must be 0..65535, is 70000",
		"list.yaml:1: must be a mapping, is a list",
		`other.yaml:9: name: must be "other" or be left out, is "wob"`,
		`name: must be printable, is "a\nb"`,
	} {
		assert.Contains(t, text, want)
	}
}
