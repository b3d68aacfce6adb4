package server

import (
	"net/netip"

	"google.golang.org/protobuf/proto"

	"samaritan/api/service"
)

// entry is what is told of a service. It is immutable: streams keep the one that
// they were told last, to tell what is different.
type entry struct {
	config    *service.Config
	endpoints []*service.Endpoint
	keys      []endpointKey // of the endpoints
	byKey     map[endpointKey]*service.Endpoint
}

func newEntry(s Service) *entry {
	e := &entry{byKey: make(map[endpointKey]*service.Endpoint, len(s.Endpoints))}
	if s.Config != nil {
		e.config = proto.CloneOf(s.Config)
	}
	if s.Endpoints != nil {
		e.endpoints = make([]*service.Endpoint, 0, len(s.Endpoints))
	}
	for _, p := range s.Endpoints {
		if key := keyOf(p); p != nil && e.byKey[key] == nil {
			e.byKey[key] = proto.CloneOf(p)
			e.keys, e.endpoints = append(e.keys, key), append(e.endpoints, e.byKey[key])
		}
	}
	return e
}

// same tells whether nothing has to be told to one who was told e.
func (e *entry) same(next *entry) bool {
	if (e.endpoints == nil) != (next.endpoints == nil) || !proto.Equal(e.config, next.config) {
		return false
	}
	added, removed := e.diff(next)
	return len(added)+len(removed) == 0
}

// diff returns what of next is not in e, and what of e is not in next. e may be
// nil: then all is added.
func (e *entry) diff(next *entry) (added, removed []*service.Endpoint) {
	if e == nil {
		return next.endpoints, nil
	}
	return next.without(e), e.without(next)
}

// without returns the endpoints that other does not have in just this way.
func (e *entry) without(other *entry) []*service.Endpoint {
	var rest []*service.Endpoint
	for i, p := range e.endpoints {
		if o := other.byKey[e.keys[i]]; o == nil || o.State != p.State || o.Type != p.Type {
			rest = append(rest, p)
		}
	}
	return rest
}

// endpointKey tells endpoints apart. The text is that of an address which is not
// valid, and is passed on all the same.
type endpointKey struct {
	ip   netip.Addr
	text string
	port uint32
}

func keyOf(p *service.Endpoint) endpointKey {
	a := p.GetAddress()
	ip, err := netip.ParseAddr(a.GetIp())
	if err != nil {
		return endpointKey{text: a.GetIp(), port: a.GetPort()}
	}
	return endpointKey{ip: ip.Unmap(), port: a.GetPort()}
}
