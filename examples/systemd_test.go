package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	unitFile  = "systemd/samaritan.service"
	installed = "/usr/local/bin/samaritan"
)

// unit is the section [Service] of the unit. A name may have several values.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
	require.NoError(t, err)
	settings, section := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = line
		case !ok:
			require.Fail(t, "not an assignment", line)
		case section == "[Service]":
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

func one(t *testing.T, settings map[string][]string, name string) string {
	t.Helper()
	require.Len(t, settings[name], 1, name)
	return settings[name][0]
}

func TestTheUnitStartsTheProgramAsItIs(t *testing.T) {
	settings := unit(t)
	for _, name := range []string{"ExecStartPre", "ExecStart", "ExecReload"} {
		require.NotEmpty(t, settings[name])
		for _, line := range settings[name] {
			if words := strings.Fields(line); words[0] == installed {
				assert.Equal(t, "/etc/samaritan.yaml", values(t, words[1:])["config"], line)
			}
		}
	}
	assert.Equal(t, "/bin/kill -HUP $MAINPID", settings["ExecReload"][len(settings["ExecReload"])-1])
}

func TestTheUnitFitsTheProgram(t *testing.T) {
	settings := unit(t)
	flags := values(t, strings.Fields(one(t, settings, "ExecStart"))[1:])
	assert.Equal(t, "/run/"+one(t, settings, "RuntimeDirectory"), flags["data"])
	assert.Equal(t, filepath.Join(flags["data"], "samaritan.pid"), one(t, settings, "PIDFile"))
	stop, err := time.ParseDuration(one(t, settings, "TimeoutStopSec") + "s")
	require.NoError(t, err)
	assert.Greater(t, stop, drainOf(t, flags))
	// A hot restart does not go with other values of these.
	assert.Equal(t, "notify", one(t, settings, "Type"))
	assert.Equal(t, "all", one(t, settings, "NotifyAccess"))
	assert.Equal(t, "control-group", one(t, settings, "KillMode"))
	ending := one(t, settings, "ExecStop")
	assert.Contains(t, ending, "kill -TERM $MAINPID")
	assert.Contains(t, ending, "tail --pid=$MAINPID", "it waits")
	assert.Contains(t, one(t, settings, "RestrictAddressFamilies"), "AF_UNIX")
}

// Where there is systemd it says what it does not understand.
func TestSystemdUnderstandsTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("this machine has no systemd")
	}
	text, err := os.ReadFile(unitFile)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "samaritan.service")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), installed, build(t))), 0o600))
	cmd := exec.Command(analyze, "verify", "--man=no", path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.NotContains(t, string(out), "samaritan.service", "systemd has remarks")
}
