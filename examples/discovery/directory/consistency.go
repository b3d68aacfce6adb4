package directory

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"samaritan/config"
	"samaritan/examples/discovery/server"
)

// inconsistencies are problems between files that are good by themselves.
func (r *reader) inconsistencies(services map[string]*source[*config.Service]) config.Problems {
	var problems config.Problems
	dependencies := r.dependencies.good
	for _, belong := range slices.Sorted(maps.Keys(dependencies)) {
		names := dependencies[belong]
		for i, name := range names {
			if services[name] == nil && name != server.All && !r.isBroken(name) {
				problems = append(problems, config.Problem{
					File: r.dependencies.path, Path: belong + "[" + strconv.Itoa(i) + "]",
					Msg: fmt.Sprintf("there is no service %q", name),
				})
			}
		}
		if slices.Contains(names, server.All) {
			names = slices.Sorted(maps.Keys(services))
		}
		problems = append(problems, r.clashes(belong, names, services)...)
	}
	return problems
}

// isBroken tells whether there is a file for the service, with problems of its own.
func (r *reader) isBroken(name string) bool {
	for _, ext := range extensions {
		if r.services[name+ext] != nil {
			return true
		}
	}
	return false
}

// clashes are listeners that two services of one belong have.
func (r *reader) clashes(belong string, names []string, services map[string]*source[*config.Service]) config.Problems {
	var problems config.Problems
	taken := map[netip.AddrPort]string{}
	for _, name := range names {
		s := services[name]
		if s == nil {
			continue
		}
		a := s.good.Config.Listener.Address
		ip, _ := netip.ParseAddr(a.Ip)
		key := netip.AddrPortFrom(ip.Unmap(), uint16(a.Port))
		other, ok := taken[key]
		if ok && other != name && a.Port != 0 {
			problems = append(problems, config.Problem{
				File: s.path, Path: "config.listener.address",
				Msg: fmt.Sprintf("%s is taken by %s, and %s depends on both", key, services[other].path, belong),
			})
			continue
		}
		taken[key] = name
	}
	return problems
}
