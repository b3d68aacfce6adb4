package chaos

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// buildSamaritan builds the daemon without the race detector, as it is shipped.
func buildSamaritan(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "samaritan")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", binary, "samaritan/cmd/samaritan")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return binary
}

// startSuite starts a suite that ends with the test.
func startSuite(t *testing.T) *Suite {
	t.Helper()
	s, err := Start(t.Context(), Options{
		Samaritan: buildSamaritan(t), Dir: t.TempDir(), Scale: 1, Seed: 1, Clients: 12, Logf: t.Logf,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// TestChaos is the short form of make chaos.
func TestChaos(t *testing.T) {
	s := startSuite(t)
	for _, f := range Faults() {
		if f.Long {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			r := s.Run(t.Context(), f)
			t.Logf("%v\n%s\n%s", r.Duration, Header, r.Line())
			for _, v := range r.Violations {
				t.Error(v)
			}
		})
	}
}

func TestSuiteStartsAnewAfterWhatBreaksIt(t *testing.T) {
	s := startSuite(t)
	for _, c := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Name: "dead", Inflict: func(_ context.Context, e *Env) error {
			e.Affect(0, 1, 2)
			return syscall.Kill(e.Daemon.Pid(), syscall.SIGKILL)
		}}, "the process has ended: signal: killed"},
		{Fault{Name: "failed", Inflict: func(context.Context, *Env) error { return errors.New("no luck") }}, "the fault itself failed: no luck"},
	} {
		r := s.Run(t.Context(), c.fault)
		assert.Contains(t, strings.Join(r.Violations, "\n"), c.want)
		r = s.Run(t.Context(), Fault{Name: "calm", Inflict: func(context.Context, *Env) error { return nil }})
		assert.Empty(t, r.Violations)
		assert.Positive(t, r.Requests)
	}
}
