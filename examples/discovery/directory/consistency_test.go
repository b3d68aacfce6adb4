package directory

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
)

func TestProblemsBetweenFiles(t *testing.T) {
	dir := newTree(t)
	dir.write(t, dependenciesFile, "demo: [a, absent, broken]\nother: [a, c]\nall: '*'\n")
	dir.write(t, "services/a.json", "{"+"\n"+`"config": {"listener": {"address": {"ip": "127.0.0.1", "port": 1}}, "protocol": "Redis"}, "endpoints": [{"address": {"ip": "::1", "port": 1}}]}`)
	dir.write(t, "services/a.yaml", service(2))
	dir.write(t, "services/broken.yml", "nonsense: 1\n")
	dir.write(t, "services/c.yaml", strings.Replace(service(1), "127.0.0.1", "'::ffff:127.0.0.1'", 1))

	got, err := Load(string(dir))
	var problems config.Problems
	require.ErrorAs(t, err, &problems)
	text := strings.ReplaceAll(err.Error(), string(dir)+"/", "")
	for _, want := range []string{
		"services/a.yaml: is for the same service as ",
		`dependencies.yaml: demo[1]: there is no service "absent"`,
		"services/broken.yml:1: nonsense: unknown field",
		"services/c.yaml: config.listener.address: 127.0.0.1:1 is taken by services/a.json, and other depends on both",
		"services/c.yaml: config.listener.address: 127.0.0.1:1 is taken by services/a.json, and all depends on both",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, `"broken"`, "its own problems say enough")
	assert.Len(t, got.Services, 3, "what is good is there, and that there is another one")
	assert.Equal(t, []string{"a", "absent", "broken"}, got.Dependencies["demo"])
}

func TestDirectoryThatIsNotThereIsAnError(t *testing.T) {
	_, err := Load(t.TempDir())
	assert.ErrorIs(t, err, os.ErrNotExist)
	dir := newTree(t)
	require.NoError(t, os.Remove(dir.path(dependenciesFile)))
	_, err = Load(string(dir))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, dependenciesFile)
}
