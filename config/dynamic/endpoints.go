package dynamic

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/config"
)

// endpointSet is the endpoints of a service as the server sees them, valid or not,
// in the order in which they were added.
type endpointSet struct {
	items map[endpointKey]endpointItem
	next  uint64 // number of the next item
	bad   int    // items with a problem
	full  bool   // some had no room: what the server sees is not known
}

// endpointKey is the address. What is no IP address is told apart by its text.
type endpointKey struct {
	ip   netip.Addr
	port uint32
	text string
}

type endpointItem struct {
	endpoint *service.Endpoint
	number   uint64
	problem  string
}

func newEndpointSet() *endpointSet {
	return &endpointSet{items: map[endpointKey]endpointItem{}}
}

func keyOf(e *service.Endpoint) endpointKey {
	a := e.GetAddress()
	ip, err := netip.ParseAddr(a.GetIp())
	if err != nil {
		return endpointKey{port: a.GetPort(), text: a.GetIp()}
	}
	return endpointKey{ip: ip.Unmap(), port: a.GetPort()}
}

func sameEndpoint(a, b *service.Endpoint) bool {
	return a.GetState() == b.GetState() && a.GetType() == b.GetType() && keyOf(a) == keyOf(b)
}

// change removes and then adds, and tells whether anything is different now.
// Unknown ones in removed are passed over.
func (s *endpointSet) change(added []checkedEndpoint, removed []*service.Endpoint) bool {
	changed := false
	for _, e := range removed {
		key := keyOf(e)
		if old, ok := s.items[key]; ok {
			s.forget(key, old)
			changed = true
		}
	}
	for _, c := range added {
		changed = s.add(c) || changed
	}
	return changed
}

func (s *endpointSet) add(c checkedEndpoint) bool {
	key := keyOf(c.Endpoint)
	old, ok := s.items[key]
	switch {
	case ok && old.problem == c.problem && sameEndpoint(old.endpoint, c.Endpoint):
		return false
	case ok:
		s.forget(key, old)
	case len(s.items) >= maxEndpoints:
		s.full = true
		return false
	default:
		old.number = s.next
		s.next++
	}
	if c.problem != "" {
		s.bad++
	}
	s.items[key] = endpointItem{endpoint: c.Endpoint, number: old.number, problem: c.problem}
	return true
}

func (s *endpointSet) forget(key endpointKey, item endpointItem) {
	delete(s.items, key)
	if item.problem != "" {
		s.bad--
	}
}

// list returns the endpoints in order.
func (s *endpointSet) list() []*service.Endpoint {
	items := s.ordered(func(endpointItem) bool { return true })
	list := make([]*service.Endpoint, len(items))
	for i, item := range items {
		list[i] = item.endpoint
	}
	return list
}

func (s *endpointSet) ordered(keep func(endpointItem) bool) []endpointItem {
	items := make([]endpointItem, 0, len(s.items))
	for _, item := range s.items {
		if keep(item) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b endpointItem) int { return cmp.Compare(a.number, b.number) })
	return items
}

// equals tells whether the list has the same endpoints, in any order.
func (s *endpointSet) equals(list []*service.Endpoint) bool {
	if len(list) != len(s.items) {
		return false
	}
	for _, e := range list {
		if item, ok := s.items[keyOf(e)]; !ok || !sameEndpoint(item.endpoint, e) {
			return false
		}
	}
	return true
}

// problem says why the set cannot be taken, "" when it can.
func (s *endpointSet) problem() string {
	if s.full {
		return fmt.Sprintf("endpoints: must be at most %d", maxEndpoints)
	}
	if s.bad == 0 {
		return ""
	}
	var texts []string
	for _, item := range s.ordered(func(i endpointItem) bool { return i.problem != "" }) {
		if len(texts) == 3 {
			texts = append(texts, fmt.Sprintf("%d more bad endpoints", s.bad-3))
			break
		}
		texts = append(texts, item.problem)
	}
	return strings.Join(texts, "; ")
}

// checkedEndpoint is an endpoint of a message, and what is wrong with it.
type checkedEndpoint struct {
	*service.Endpoint
	problem string
}

// checkEndpoints tells which endpoints of a message are wrong. All are looked at
// together first, as nearly always all are fine.
func checkEndpoints(added []*service.Endpoint) (checked []checkedEndpoint, bad bool) {
	checked = make([]checkedEndpoint, len(added))
	for i, e := range added {
		checked[i] = checkedEndpoint{Endpoint: e}
	}
	if validEndpoints(added) == nil {
		return checked, false
	}
	seen := make(map[endpointKey]*service.Endpoint, len(added))
	for i, e := range added {
		key := keyOf(e)
		other := seen[key]
		seen[key] = e
		if err := validEndpoints(added[i : i+1]); err != nil {
			checked[i].problem = shownEndpoint(e) + ": " + problemText(err)
		} else if other != nil && !sameEndpoint(other, e) {
			checked[i].problem = shownEndpoint(e) + ": is given twice in one message, in different ways"
		}
	}
	return checked, true
}

func shownEndpoint(e *service.Endpoint) string {
	return fmt.Sprintf("endpoint %q port %d", shortName(e.GetAddress().GetIp()), e.GetAddress().GetPort())
}

// validEndpoints asks the rules of package config.
func validEndpoints(endpoints []*service.Endpoint) error {
	_, err := config.NewService("any", anyConfig(), endpoints)
	return err
}

// validName asks the rules of package config.
func validName(name string) error {
	_, err := config.NewService(name, anyConfig(), nil)
	return err
}

// anyConfig is one with which a service is valid.
func anyConfig() *service.Config {
	return &service.Config{
		Listener: &service.Listener{Address: &common.Address{Ip: "127.0.0.1"}},
		Protocol: protocol.Protocol_TCP,
	}
}
