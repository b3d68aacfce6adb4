package chaos

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
			t.Logf("%v\n%s\n%s\n%v", r.Duration, Header, r.Line(), r.Own)
			for _, v := range r.Violations {
				t.Error(v)
			}
		})
	}
}

// theft lets a master lose a slot to another, which takes it without its keys. To
// clients that is what happens when Redis itself loses keys.
func theft(ctx context.Context, e *Env) error {
	e.Affect(0, 1)
	slot := ShardSlots(0)[3]
	from, to := e.Cluster.Master(slot), e.Cluster.Master(ShardSlots(1)[0])
	if err := errors.Join(e.Wait(ctx, 500*time.Millisecond), e.Cluster.BeginMigrate(slot, to)); err != nil {
		return err
	}
	if _, err := to.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID()); err != nil {
		return err
	}
	return errors.Join(eventually(ctx, changeLimit, func() error {
		counts, err := countsOf(from, []uint16{slot})
		if err == nil && counts[0] > 0 {
			err = errors.New("the old owner has not heard of it")
		}
		return err
	}), e.Cluster.FinishMigrate(slot), e.Cluster.Whole())
}

func TestSuiteStartsAnewAfterWhatBreaksIt(t *testing.T) {
	s := startSuite(t)
	for _, c := range []struct {
		fault Fault
		want  string // in the violations, or in what Redis itself has lost
	}{
		{Fault{Name: "dead", Inflict: func(_ context.Context, e *Env) error {
			e.Affect(0, 1, 2)
			return syscall.Kill(e.Daemon.Pid(), syscall.SIGKILL)
		}}, "the process has ended: signal: killed"},
		{Fault{Name: "failed", Inflict: func(context.Context, *Env) error { return errors.New("no luck") }}, "the fault itself failed: no luck"},
		{Fault{Name: "theft", Inflict: theft}, "slot 103 at "},
	} {
		r := s.Run(t.Context(), c.fault)
		if c.fault.Name == "theft" {
			assert.Empty(t, r.Violations, "the data is gone, and nothing else is wrong")
			assert.Positive(t, r.Lost)
			assert.Contains(t, r.Line(), "ok; rounds lost by Redis itself: 1")
			r.Violations = OwnLines([]Result{r})
			require.Len(t, r.Violations, 1)
		}
		assert.Contains(t, strings.Join(r.Violations, "\n"), c.want)
		r = s.Run(t.Context(), Fault{Name: "calm", Inflict: func(context.Context, *Env) error { return nil }})
		assert.Empty(t, r.Violations)
		assert.Positive(t, r.Requests)
	}
}
