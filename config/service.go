package config

import (
	"net/netip"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"samaritan/api/bootstrap"
	"samaritan/api/service"
)

// Service is one service to run. It is immutable.
type Service struct {
	Name string
	// Config is valid, with the defaults filled in.
	Config *service.Config
	// Endpoints are valid, with different addresses.
	Endpoints []*service.Endpoint
}

// NewService makes a service from messages that came over the wire. It copies
// them, fills in the defaults and validates the whole as for a file, save that
// a service may have no endpoints for a while. The paths in the problems begin
// with name, config or endpoints. The error is of the type [Problems].
func NewService(name string, c *service.Config, endpoints []*service.Endpoint) (*Service, error) {
	r := newReport("service " + strconv.Quote(clip(name)))
	v := &validator{report: r}
	v.name("name", name)
	v.endpoints("endpoints", endpoints)
	if c == nil {
		v.fail("config", "is required")
		return nil, r.err()
	}
	c = proto.CloneOf(c)
	fillConfig(c)
	v.config("config", c)
	if err := r.err(); err != nil {
		return nil, err
	}
	copies := make([]*service.Endpoint, len(endpoints))
	for i, e := range endpoints {
		copies[i] = proto.CloneOf(e)
	}
	return &Service{Name: name, Config: c, Endpoints: uniqueEndpoints(copies)}, nil
}

// MarshalJSON returns the service as it would stand in static_services, with
// the secrets masked.
func (s *Service) MarshalJSON() ([]byte, error) {
	return maskedJSON(&bootstrap.StaticService{Name: s.Name, Config: s.Config, Endpoints: s.Endpoints})
}

// staticServices returns the services of a valid config.
func staticServices(b *bootstrap.Bootstrap) []*Service {
	services := make([]*Service, len(b.StaticServices))
	for i, s := range b.StaticServices {
		services[i] = &Service{Name: s.Name, Config: s.Config, Endpoints: uniqueEndpoints(s.Endpoints)}
	}
	return services
}

// endpointKey tells endpoints apart: two with the same key are the same server.
type endpointKey struct {
	ip   netip.Addr
	port uint32
}

// keyOf returns the key of an endpoint with a valid address.
func keyOf(e *service.Endpoint) endpointKey {
	ip, _ := netip.ParseAddr(e.GetAddress().GetIp())
	return endpointKey{ip: ip.Unmap(), port: e.GetAddress().GetPort()}
}

func sameEndpoint(a, b *service.Endpoint) bool {
	return keyOf(a) == keyOf(b) && a.State == b.State && a.Type == b.Type
}

// uniqueEndpoints keeps the first of the endpoints with the same address.
func uniqueEndpoints(endpoints []*service.Endpoint) []*service.Endpoint {
	seen := make(map[endpointKey]bool, len(endpoints))
	unique := make([]*service.Endpoint, 0, len(endpoints))
	for _, e := range endpoints {
		if key := keyOf(e); !seen[key] {
			seen[key] = true
			unique = append(unique, e)
		}
	}
	return slices.Clip(unique)
}

// diffEndpoints returns what of b is not in a, and what of a is not in b. An
// endpoint whose state or type changed is in both: as it is, and as it was. The
// order of the endpoints does not matter.
func diffEndpoints(a, b []*service.Endpoint) (added, removed []*service.Endpoint) {
	return missing(b, a), missing(a, b)
}

// missing returns what of a is not in b.
func missing(a, b []*service.Endpoint) []*service.Endpoint {
	known := make(map[endpointKey]*service.Endpoint, len(b))
	for _, e := range b {
		known[keyOf(e)] = e
	}
	var out []*service.Endpoint
	for _, e := range a {
		if k := known[keyOf(e)]; k == nil || !sameEndpoint(k, e) {
			out = append(out, e)
		}
	}
	return out
}
