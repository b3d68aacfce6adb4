package dynamic

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/config"
)

// static makes a service of the file.
func static(t *testing.T, name string) *config.Service {
	t.Helper()
	s, err := config.NewService(name, tcpConfig(9000), at(9))
	require.NoError(t, err)
	return s
}

func TestServiceWhoseNameIsTakenWaitsForRetry(t *testing.T) {
	store := config.NewStore()
	require.NoError(t, store.Apply("static", []*config.Service{static(t, "b"), static(t, "s")}))
	s := listen(t, "")
	r := prepareFor(t, s.address)
	r.failing(func(services []*config.Service) error {
		if err := store.Apply("dynamic", services); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		return nil
	})
	r.run()
	p := s.accept()
	p.depends([]string{"a", "b", "c"}, nil)
	p.wants("a", "b", "c")
	for i, name := range []string{"a", "b", "c"} {
		p.tell(name, uint32(1001+i), 1)
	}
	r.runs("a:1001[1] c:1003[1]")
	got := r.until("rejected", func(s Status) bool { return s.RejectedCount == 1 })
	assert.Contains(t, got.Rejected["b"], `"dynamic"`)
	assert.Contains(t, got.Rejected["b"], `"static"`)
	assert.Equal(t, 2, got.Services)
	assert.Empty(t, got.ApplyError)
	assert.Equal(t, 1.0, r.stat("rejected_total"))

	p.hosts("b", at(2), nil) // changes of it are followed
	p.hosts("a", at(2), nil)
	r.runs("a:1001[1 2] c:1003[1]")
	r.Retry() // too early
	require.Eventually(t, func() bool { return r.stat("rejected_total") == 2 }, within, time.Millisecond)
	r.logged("its name is taken", 1)

	require.NoError(t, store.Apply("static", []*config.Service{static(t, "s")}))
	calls := r.count()
	r.Retry()
	r.runs("a:1001[1 2] b:1002[1 2] c:1003[1]")
	assert.Zero(t, r.Status().RejectedCount)
	assert.Equal(t, calls+1, r.count())
	r.logged("the name of a service is free now", 1)
	assert.Len(t, store.Services(), 4)
}

func TestRetryWithoutAConnection(t *testing.T) {
	s := listen(t, "")
	r := prepareFor(t, s.address)
	r.failing(func(services []*config.Service) error {
		if len(services) > 0 {
			return errors.Join(errors.New("other"), &config.ClashError{Name: "a", Source: "dynamic", Owner: "static"})
		}
		return nil
	})
	r.run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	r.until("rejected", func(s Status) bool { return s.RejectedCount == 1 })
	s.grpc.Stop()
	r.until("lost", func(s Status) bool { return s.LastError != "" })
	r.failing(nil)
	r.Retry()
	r.runs("a:1001[1]")
}

func TestApplyThatFailsIsTriedAgain(t *testing.T) {
	s := listen(t, "")
	r := prepareFor(t, s.address)
	r.failing(func([]*config.Service) error { return errors.New("no room") })
	r.run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	got := r.until("failed", func(s Status) bool { return s.ApplyError != "" })
	assert.Equal(t, "no room", got.ApplyError)
	require.Eventually(t, func() bool { return r.stat("apply_failures_total") >= 3 }, within, time.Millisecond)
	r.logged("cannot be applied", 1)
	r.failing(nil)
	r.runs("a:1001[1]")
	r.until("well", func(s Status) bool { return s.ApplyError == "" })
}

func TestOptionsThatAreMissing(t *testing.T) {
	apply := func([]*config.Service) error { return nil }
	source, instance := &bootstrap.ConfigSource{Endpoint: "127.0.0.1:1"}, &common.Instance{Belong: "web"}
	for name, o := range map[string]Options{
		"source":   {Instance: instance, Apply: apply},
		"endpoint": {Source: &bootstrap.ConfigSource{}, Instance: instance, Apply: apply},
		"instance": {Source: source, Apply: apply},
		"belong":   {Source: source, Instance: &common.Instance{Id: "x"}, Apply: apply},
		"apply":    {Source: source, Instance: instance},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			assert.Error(t, err)
		})
	}
	c, err := New(Options{Source: source, Instance: instance, Apply: apply})
	require.NoError(t, err)
	assert.Equal(t, "none", c.Status().State)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, c.Run(ctx), "without a log and a directory, too")
}
