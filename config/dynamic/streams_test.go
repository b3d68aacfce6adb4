package dynamic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api"
	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/api/service"
)

func TestServiceStartsOnceItHasConfigAndEndpoints(t *testing.T) {
	for name, steps := range map[string][]string{
		"config first":     {"config", "endpoints"},
		"endpoints first":  {"endpoints", "config"},
		"config twice":     {"config", "config", "endpoints"},
		"endpoints, twice": {"endpoints", "none", "config"},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, "")
			r := start(t, s.address)
			p := s.accept()
			p.depends([]string{"a"}, nil)
			p.wants("a")
			r.until("waits", func(s Status) bool { return s.Waiting["a"] == "config and endpoints" })
			for i, step := range steps {
				if i == len(steps)-1 {
					require.Empty(t, r.text())
					require.Equal(t, 1, r.Status().WaitingCount)
				}
				switch step {
				case "config":
					p.config("a", tcpConfig(1001))
				case "endpoints":
					p.hosts("a", at(1, 2), nil)
				case "none":
					p.hosts("a", nil, nil)
				}
				require.Eventually(t, func() bool { return r.stat("updates_total") == float64(i+2) }, within, time.Millisecond)
			}
			r.runs("a:1001[1 2]")
			assert.Zero(t, r.Status().WaitingCount)
		})
	}
}

func TestEndpointsMayBeNoneWhenTheServerSaysSo(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.config("a", tcpConfig(1001))
	r.until("waits", func(s Status) bool { return s.Waiting["a"] == "endpoints" })
	p.hosts("a", nil, nil)
	r.runs("a:1001[]")
}

func TestDependenciesComeAndGo(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"b", "a"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1)
	p.tell("b", 1002, 2)
	r.runs("a:1001[1] b:1002[2]")

	p.depends([]string{"c"}, []string{"a", "unknown"})
	p.wants("b", "c")
	r.runs("b:1002[2]")
	p.tell("c", 1003)
	r.runs("b:1002[2] c:1003[]")

	p.depends([]string{"c"}, []string{"c"}) // both: it stays
	r.still("b:1002[2] c:1003[]", 8)
}

func TestServiceThatComesBackIsSubscribedAnew(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1, 2)
	r.runs("a:1001[1 2]")
	p.depends(nil, []string{"a"})
	r.runs("")
	p.depends([]string{"a"}, nil)
	p.wants("a", "b")
	r.until("waits", func(s Status) bool { return s.Waiting["a"] == "config and endpoints" })
	var requests [][2][]string
	require.Eventually(t, func() bool {
		requests = nil
		for _, q := range p.e.requests() {
			requests = append(requests, [2][]string{q.SvcNamesSubscribe, q.SvcNamesUnsubscribe})
		}
		return len(requests) == 3
	}, within, time.Millisecond)
	assert.Equal(t, [][2][]string{{{"a", "b"}, nil}, {nil, {"a"}}, {{"a"}, nil}}, requests)
	p.tell("a", 1001, 3)
	r.runs("a:1001[3]")
}

func TestEndpointChangesRemoveBeforeTheyAdd(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1, 2)
	r.runs("a:1001[1 2]")
	p.hosts("a", at(3), nil)
	r.runs("a:1001[1 2 3]")
	p.hosts("a", at(4), at(1, 9))
	r.runs("a:1001[2 3 4]")

	down := at(2)
	down[0].State = service.Endpoint_DOWN
	p.hosts("a", down, at(2))
	require.Eventually(t, func() bool {
		for _, e := range r.get("a").Endpoints {
			if e.Address.Ip == "10.0.0.2" {
				return e.State == service.Endpoint_DOWN
			}
		}
		return false
	}, within, time.Millisecond)
	p.hosts("a", nil, at(2, 3, 4))
	r.runs("a:1001[]")
}

func TestConfigIsReplaced(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
	p.config("a", tcpConfig(1002))
	r.runs("a:1002[1]")
	assert.NotNil(t, r.get("a").Config.ConnectTimeout, "defaults are filled in")
}

func TestUpdatesOfOthersAreIgnoredAndCounted(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	p.tell("b", 1002, 1)
	r.runs("a:1001[1]")
	require.Eventually(t, func() bool { return r.stat("ignored_total") == 2 }, within, time.Millisecond)
	r.still("a:1001[1]", 5)
}

func TestServerIsToldWhoAsks(t *testing.T) {
	s := listen(t, "")
	instance := &common.Instance{Id: "web-1", Version: "7", Belong: "web"}
	r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: s.address}, Instance: instance, Version: "1.2"}).run()
	p := s.accept()
	got := p.d.requests()[0].Instance
	assert.Equal(t, []string{"web-1", "7", "web"}, []string{got.Id, got.Version, got.Belong})
	assert.Contains(t, p.d.header.Get("user-agent")[0], "samaritan/1.2")
	assert.Empty(t, p.d.header.Get("authorization"))
	r.connected()
}

func TestUnchangedServicesKeepTheirPointer(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1)
	p.tell("b", 1002, 2)
	r.runs("a:1001[1] b:1002[2]")
	a, calls := r.get("a"), r.count()

	p.hosts("b", at(3), nil)
	r.runs("a:1001[1] b:1002[2 3]")
	assert.Same(t, a, r.get("a"))
	assert.Equal(t, calls+1, r.count())

	p.hosts("b", at(3), nil) // nothing new
	p.config("b", tcpConfig(1002))
	p.hosts("b", at(4), nil)
	p.hosts("b", nil, at(4)) // taken back
	r.still("a:1001[1] b:1002[2 3]", 10)
	require.NoError(t, p.d.send(&api.DependencyDiscoveryResponse{}))
	r.still("a:1001[1] b:1002[2 3]", 11)
	assert.LessOrEqual(t, r.count(), calls+3)
	assert.Same(t, a, r.get("a"))
}
