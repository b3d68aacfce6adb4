package server

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/hc"
	"samaritan/api/service"
)

// one requires a message with one config, and returns its timeout.
func (in configInbox) one(name string) int64 {
	in.t.Helper()
	m := in.next()
	require.Equal(in.t, []string{name}, slices.Collect(maps.Keys(m.Updated)))
	return m.Updated[name].ConnectTimeout.GetSeconds()
}

func TestConfigIsSentOnSubscriptionAndWhenItChanges(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", conf(1), nil)
	r.Set("b", conf(1), nil)
	in := configs(t, r.connect())
	in.nothing()
	in.ask([]string{"a"}, nil)
	assert.EqualValues(t, 1, in.one("a"))
	r.Set("a", conf(2), nil)
	assert.EqualValues(t, 2, in.one("a"))
	r.Set("b", conf(2), nil)
	r.Set("a", conf(2), eps(1))
	in.nothing()
}

func TestConfigOfAnUnknownServiceIsSentWhenItAppears(t *testing.T) {
	r := startServer(t, Options{})
	in := configs(t, r.connect())
	in.ask([]string{"a"}, nil)
	eventually(t, "subscribed", func() bool { return r.Stats().Subscriptions == 1 })
	r.Set("a", nil, eps(1))
	in.nothing()
	r.Set("a", conf(1), eps(1))
	assert.EqualValues(t, 1, in.one("a"))
}

func TestUnsubscribedServiceIsSilent(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", conf(1), nil)
	in := configs(t, r.connect())
	in.ask([]string{"a", "b"}, nil)
	assert.EqualValues(t, 1, in.one("a"))
	in.ask(nil, []string{"a", "never"})
	eventually(t, "unsubscribed", func() bool { return r.Stats().Subscriptions == 1 })
	r.Set("a", conf(2), nil)
	in.nothing()
	in.ask([]string{"a"}, nil)
	assert.EqualValues(t, 2, in.one("a"))
	in.ask([]string{"a"}, nil)
	in.nothing()
	in.ask([]string{"a"}, []string{"a"})
	assert.EqualValues(t, 2, in.one("a"), "in both lists it begins anew")
}

func TestRemovedServiceIsToldAgainWhenItsConfigIsAnother(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", conf(1), nil)
	in := configs(t, r.connect())
	in.ask([]string{"a"}, nil)
	assert.EqualValues(t, 1, in.one("a"))
	r.Remove("a")
	r.Set("a", conf(1), nil)
	in.nothing()
	r.Remove("a")
	r.Set("a", conf(3), nil)
	assert.EqualValues(t, 3, in.one("a"))
}

func TestManyConfigsGoInMessagesThatAClientTakes(t *testing.T) {
	r := startServer(t, Options{})
	big := conf(1)
	big.HealthCheck = &hc.HealthCheck{Checker: &hc.HealthCheck_AtcpChecker{AtcpChecker: &hc.ATCPChecker{
		Action: []*hc.ATCPChecker_Action{{Send: make([]byte, 300<<10)}},
	}}}
	want := map[string]*service.Config{}
	var names []string
	for i := range 20 {
		name := fmt.Sprint("s", i)
		names = append(names, name)
		want[name] = big
		r.Set(name, big, nil)
	}
	in := configs(t, r.connect())
	in.ask(names, nil)
	got := map[string]*service.Config{}
	messages := 0
	for len(got) < len(want) {
		maps.Copy(got, in.next().Updated)
		messages++
	}
	assert.Equal(t, 5, messages)
	for name := range want {
		assert.True(t, proto.Equal(want[name], got[name]), name)
	}
}
