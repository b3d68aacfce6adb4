package config

import (
	"google.golang.org/protobuf/proto"

	"samaritan/api/service"
)

// Event is one change of the services: a [ServiceAdded], [ServiceRemoved],
// [ConfigChanged] or [EndpointsChanged]. The Service in an event is the state
// after this very event.
type Event interface {
	isEvent()
}

// ServiceAdded says that a service is to be started.
type ServiceAdded struct {
	Service *Service
}

// ServiceRemoved says that a service is to be stopped.
type ServiceRemoved struct {
	Name string
}

// ConfigChanged says that a service has a new config. Its endpoints are the
// same in Service and Old.
type ConfigChanged struct {
	Service *Service
	Old     *Service
}

// EndpointsChanged says that a service has other endpoints. Its config is the
// same as before. An endpoint that only changed its state or type is in both
// lists, so Removed is to be applied before Added.
type EndpointsChanged struct {
	Service *Service
	Added   []*service.Endpoint
	Removed []*service.Endpoint
}

func (ServiceAdded) isEvent()     {}
func (ServiceRemoved) isEvent()   {}
func (ConfigChanged) isEvent()    {}
func (EndpointsChanged) isEvent() {}

// nextEvent returns the first step from old to now, and the state after it. A
// service whose config and endpoints changed takes two steps. The event is nil
// when there is nothing to tell. Either may be nil: there is no such service.
func nextEvent(name string, old, now *Service) (Event, *Service) {
	switch {
	case old == now:
		return nil, now
	case now == nil:
		return ServiceRemoved{Name: name}, nil
	case old == nil:
		return ServiceAdded{Service: now}, now
	case !proto.Equal(old.Config, now.Config):
		mid := &Service{Name: name, Config: now.Config, Endpoints: old.Endpoints}
		return ConfigChanged{Service: mid, Old: old}, mid
	}
	added, removed := diffEndpoints(old.Endpoints, now.Endpoints)
	if len(added)+len(removed) == 0 {
		return nil, old
	}
	return EndpointsChanged{Service: now, Added: added, Removed: removed}, now
}
