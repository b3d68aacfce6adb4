package main

import (
	"cmp"
	"net/netip"
	"slices"

	"google.golang.org/protobuf/proto"

	"samaritan/admin"
	"samaritan/api/bootstrap"
	"samaritan/api/service"
	"samaritan/config"
)

// The settings outside of services, by their paths in the file.
const (
	setInstance = "instance"
	setLevel    = "log.level"
	setOutput   = "log.output"
	setSinks    = "stats.sinks"
	setAdmin    = "admin.bind"
	setSource   = "dynamic_source_config"
)

// difference says what is not the same in two configs.
func difference(old, now *config.Bootstrap) admin.Reloaded {
	var d admin.Reloaded
	before := byName(old.Services)
	for _, s := range now.Services {
		was := before[s.Name]
		delete(before, s.Name)
		switch {
		case was == nil:
			d.Added = append(d.Added, s.Name)
			continue
		case !proto.Equal(was.Config, s.Config):
			d.Changed = append(d.Changed, s.Name)
		}
		if !slices.Equal(endpointKeys(was), endpointKeys(s)) {
			d.Endpoints = append(d.Endpoints, s.Name)
		}
	}
	for name := range before {
		d.Removed = append(d.Removed, name)
	}
	for _, list := range [][]string{d.Added, d.Removed, d.Changed, d.Endpoints} {
		slices.Sort(list)
	}
	d.Settings = settingsThatDiffer(old.Proto, now.Proto)
	return d
}

func byName(services []*config.Service) map[string]*config.Service {
	m := make(map[string]*config.Service, len(services))
	for _, s := range services {
		m[s.Name] = s
	}
	return m
}

// endpointKey is what matters of an endpoint.
type endpointKey struct {
	address netip.AddrPort
	state   service.Endpoint_State
	kind    service.Endpoint_Type
}

// endpointKeys are those of a service, in an order that does not depend on the file's.
func endpointKeys(s *config.Service) []endpointKey {
	keys := make([]endpointKey, len(s.Endpoints))
	for i, e := range s.Endpoints {
		ip, _ := netip.ParseAddr(e.GetAddress().GetIp())
		keys[i] = endpointKey{netip.AddrPortFrom(ip.Unmap(), uint16(e.GetAddress().GetPort())), e.GetState(), e.GetType()}
	}
	slices.SortFunc(keys, func(a, b endpointKey) int {
		return cmp.Or(a.address.Compare(b.address), cmp.Compare(a.state, b.state), cmp.Compare(a.kind, b.kind))
	})
	return keys
}

func settingsThatDiffer(old, now *bootstrap.Bootstrap) []string {
	var list []string
	for _, s := range []struct {
		path string
		same bool
	}{
		{setInstance, proto.Equal(old.GetInstance(), now.GetInstance())},
		{setLevel, old.GetLog().GetLevel() == now.GetLog().GetLevel()},
		{setOutput, proto.Equal(outputOf(old), outputOf(now))},
		{setSinks, slices.EqualFunc(old.GetStats().GetSinks(), now.GetStats().GetSinks(), func(a, b *bootstrap.Sink) bool { return proto.Equal(a, b) })},
		{setAdmin, hostPort(old.GetAdmin().GetBind()) == hostPort(now.GetAdmin().GetBind())},
		{setSource, proto.Equal(old.GetDynamicSourceConfig(), now.GetDynamicSourceConfig())},
	} {
		if !s.same {
			list = append(list, s.path)
		}
	}
	slices.Sort(list)
	return list
}

// outputOf is the log output, without a target that is not used.
func outputOf(b *bootstrap.Bootstrap) *bootstrap.Log_Output {
	o := b.GetLog().GetOutput()
	if o.GetType() != bootstrap.Log_Output_SYSLOG {
		return &bootstrap.Log_Output{Type: o.GetType()}
	}
	return o
}
