package server

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/api/common"
	"samaritan/api/service"
)

func TestEndpointsAreSentAsAWholeAndThenAsDifferences(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", nil, eps(1, 2, 3))
	in := endpoints(t, r.connect())
	in.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[1 2 3] -[]", in.tell())
	r.Set("a", nil, eps(4, 3, 1))
	assert.Equal(t, "a +[4] -[2]", in.tell())
	r.Set("a", conf(1), eps(1, 3, 4))
	in.nothing()
	r.Set("a", conf(1), eps())
	assert.Equal(t, "a +[] -[1 3 4]", in.tell())
}

func TestEndpointWithAnotherStateOrTypeIsRemovedAndAdded(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", nil, eps(1, 2))
	in := endpoints(t, r.connect())
	in.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[1 2] -[]", in.tell())
	next := eps(1, 2)
	next[1].State = service.Endpoint_DOWN
	r.Set("a", nil, next)
	assert.Equal(t, "a +[2DOWN] -[2]", in.tell())
	next[1].State, next[1].Type = service.Endpoint_UP, service.Endpoint_BACKUP
	r.Set("a", nil, next)
	assert.Equal(t, "a +[2BACKUP] -[2DOWN]", in.tell())
}

func TestServiceWithoutEndpointsIsToldToHaveNone(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("unknown", conf(1), nil)
	r.Set("none", conf(1), eps())
	in := endpoints(t, r.connect())
	in.ask([]string{"unknown", "none", "absent"}, nil)
	assert.Equal(t, "none +[] -[]", in.tell())
	in.nothing()
	r.Set("absent", nil, eps(1))
	assert.Equal(t, "absent +[1] -[]", in.tell())
	r.Set("unknown", nil, eps(2))
	assert.Equal(t, "unknown +[2] -[]", in.tell())
}

func TestSubscribersKeepTheEndpointsOfARemovedService(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", nil, eps(1, 2))
	in := endpoints(t, r.connect())
	in.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[1 2] -[]", in.tell())
	r.Remove("a")
	in.nothing()
	r.Set("a", nil, nil)
	in.nothing()
	r.Set("a", nil, eps(2, 3))
	assert.Equal(t, "a +[3] -[1]", in.tell(), "the difference to what was told last")

	in.ask(nil, []string{"a"})
	in.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[2 3] -[]", in.tell(), "a new subscription begins with all")
}

func TestSameAddressInTwoSpellingsIsOneEndpoint(t *testing.T) {
	at := func(ip string) *service.Endpoint {
		return &service.Endpoint{Address: &common.Address{Ip: ip, Port: 1}}
	}
	a := newEntry(Service{Endpoints: []*service.Endpoint{at("::ffff:10.0.0.1"), at("10.0.0.1"), at("::1"), at("0::1")}})
	assert.Len(t, a.endpoints, 2)
	b := newEntry(Service{Endpoints: []*service.Endpoint{at("10.0.0.1"), at("::1")}})
	assert.True(t, a.same(b))
	c := newEntry(Service{Endpoints: []*service.Endpoint{at("not an address"), at("::1"), nil}})
	assert.Len(t, c.endpoints, 2, "what is not valid is passed on")
	added, removed := b.diff(c)
	assert.Len(t, added, 1)
	assert.Len(t, removed, 1)
}

func TestWhatIsSetIsCopied(t *testing.T) {
	r := startServer(t, Options{})
	list := eps(1)
	r.Set("a", nil, list)
	list[0].Address.Port = 9
	in := endpoints(t, r.connect())
	in.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[1] -[]", in.tell())
}
