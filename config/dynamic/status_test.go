package dynamic

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/stats"
)

func TestStatusAndStatsOfAClientThatIsWell(t *testing.T) {
	s := listen(t, "")
	r := kept(t, s.address, t.TempDir()).run()
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
	r.connected()
	got := r.until("saved", func(s Status) bool { return !s.StateFileSaved.IsZero() })

	text, err := json.Marshal(got)
	require.NoError(t, err)
	var shown map[string]any
	require.NoError(t, json.Unmarshal(text, &shown))
	for name, want := range map[string]any{
		"endpoint": s.address, "connected": true, "lag_seconds": 0.0, "state": "live",
		"dependencies": 2.0, "services": 1.0, "from_disk": 0.0,
		"waiting_count": 1.0, "waiting": map[string]any{"b": "config and endpoints"},
		"rejected_count": 0.0, "rejected": map[string]any{}, "state_file": r.keeper.path,
	} {
		assert.Equal(t, want, shown[name], name)
	}
	for _, name := range []string{"since", "last_dependencies", "last_configs", "last_endpoints", "last_apply", "state_file_saved"} {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(shown[name]))
		require.NoError(t, err, name)
		assert.WithinDuration(t, time.Now(), at, time.Minute, name)
	}
	for _, name := range []string{"last_error", "apply_error", "state_file_error"} {
		assert.NotContains(t, shown, name)
	}
	for name, want := range map[string]float64{
		"connected": 1, "lag_seconds": 0, "dependencies": 2, "services": 1, "services_waiting": 1, "services_rejected": 0,
		"services_from_disk": 0, "connects_total": 1, "connect_failures_total": 0, "connection_losses_total": 0,
		"updates_total": 3, "rejected_total": 0, "ignored_total": 0, "apply_failures_total": 0, "persist_failures_total": 0,
	} {
		assert.Equal(t, want, r.stat(name), name)
	}
}

func TestStatsAreOfTheRightKind(t *testing.T) {
	r := prepareFor(t, nowhere)
	var names []string
	r.Stats(func(s stats.Sample) {
		names = append(names, s.Name)
		assert.Equal(t, strings.HasSuffix(s.Name, "_total"), s.Kind == stats.Counter, s.Name)
		assert.NotEmpty(t, s.Help, s.Name)
	})
	slices.Sort(names)
	assert.Equal(t, len(slices.Compact(slices.Clone(names))), len(names))
	assert.NotContains(t, names, "dynamic.persists_total", "without a directory")
}

func TestListsOfAStatusAreBounded(t *testing.T) {
	m := newModel(quiet())
	var names []*service.Service
	for _, name := range many(3000) {
		names = append(names, &service.Service{Name: name}, &service.Service{Name: name + "\n"})
	}
	m.tellDependencies(&api.DependencyDiscoveryResponse{Added: names})
	var s Status
	m.describe(&s)
	assert.Equal(t, 3000, s.Dependencies)
	assert.Equal(t, 3000, s.WaitingCount)
	assert.Len(t, s.Waiting, maxListed)
	assert.Len(t, s.Rejected, maxListed)
	assert.Equal(t, uint64(3000), m.counts.rejected)
}

func TestDependenciesAreBounded(t *testing.T) {
	m := newModel(quiet())
	for _, name := range many(maxServices) {
		m.entries[name] = newEntry(name)
	}
	got := m.tellDependencies(&api.DependencyDiscoveryResponse{Added: named([]string{"one-more"}), Removed: named([]string{"x"})})
	assert.Len(t, m.entries, 1, "a first message is the whole")
	assert.Len(t, got.remove, maxServices)
	for _, name := range many(maxServices - 1) {
		m.entries[name] = newEntry(name)
	}
	got = m.tellDependencies(&api.DependencyDiscoveryResponse{Added: named([]string{"too-many"})})
	assert.Empty(t, got.add)
	assert.Contains(t, m.refused["too-many"], "limit")
}

func TestClashesAreFoundInAnyTree(t *testing.T) {
	a, b := &config.ClashError{Name: "a"}, &config.ClashError{Name: "b"}
	for name, err := range map[string]error{
		"joined":  errors.Join(a, errors.New("x"), b),
		"nested":  fmt.Errorf("apply: %w", errors.Join(errors.Join(a), fmt.Errorf("y: %w", b))),
		"wrapped": fmt.Errorf("apply: %w and %w", a, b),
	} {
		found := clashesOf(err)
		assert.Len(t, found, 2, name)
		assert.NotEmpty(t, found["a"], name)
	}
	assert.Empty(t, clashesOf(errors.New("x")))
}

func TestPausesGrowAndAreSpread(t *testing.T) {
	r := prepareFor(t, nowhere)
	r.timing = defaultTiming()
	r.timing.backoffMax = 400 * time.Millisecond
	began := time.Now()
	r.run()
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 4 }, within, time.Millisecond)
	took := time.Since(began) // after 50..100, 100..200 and 200..400 ms
	assert.Greater(t, took, 350*time.Millisecond)
}
