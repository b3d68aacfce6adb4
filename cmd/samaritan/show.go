package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"samaritan/admin"
	"samaritan/api/protocol"
	"samaritan/config"
	"samaritan/controller"
	"samaritan/internal/stats"
)

// adminOptions is what the admin server sees of the daemon.
func (d *process) adminOptions() admin.Options {
	return admin.Options{
		Log:         d.log.With("component", "admin"),
		Version:     version,
		Sources:     d.numbers.sources,
		Counters:    &d.admin,
		Config:      d.effective,
		Services:    d.services,
		Ready:       d.ready,
		Topology:    d.topology,
		Endpoints:   d.endpoints,
		Dynamic:     d.source.status,
		HotKeys:     d.hotKeys,
		Shutdown:    d.stop,
		Reload:      d.reloader.reload,
		HotRestart:  d.restarter.restart,
		Restart:     d.restarter.show,
		SetLogLevel: d.log.SetLevel,
	}
}

// effective is the config in force: that of the file, and what the management server has
// told.
func (d *process) effective() ([]byte, error) {
	boot := d.boot.Load()
	if boot.Proto.GetDynamicSourceConfig() == nil {
		return json.Marshal(boot)
	}
	_, dynamic := d.bySource()
	return boot.Show(append([]*config.Service{}, dynamic...)) // a list also when there is none
}

// sources are all numbers but those of the admin server.
func (d *process) sources() []stats.Source {
	own := []stats.Source{d.runtime, stats.SourceFunc(d.stats), d.reloader, d.source, d.restarter, d.carried}
	return append(own, d.controller.Sources()...)
}

// allSources are all numbers.
func (d *process) allSources() []stats.Source {
	return append([]stats.Source{&d.admin}, d.sources()...)
}

func (d *process) stats(emit func(stats.Sample)) {
	loops := d.loops.Loops()
	conns := 0
	for _, l := range loops {
		conns += l.Conns()
	}
	emit(stats.Sample{Name: "runtime.loops", Kind: stats.Gauge, Value: float64(len(loops)), Help: "Event loops in use, without those of TCP services."})
	emit(stats.Sample{Name: "runtime.loop_connections", Kind: stats.Gauge, Value: float64(conns), Help: "Connections of the event loops, of clients and to nodes."})
	emit(stats.Sample{Name: "runtime.log_dropped_total", Value: float64(d.log.Dropped()), Help: "Log lines that the syslog server did not get."})
}

// exists tells whether a service is configured, so that its numbers are shown.
func (d *process) exists(service string) bool { return d.store.Has(service) }

// unready returns why services cannot serve, by name: the controller's word for those that
// it knows, and also those that it has not been told of yet.
func (d *process) unready() map[string]string {
	reasons := d.controller.Unready()
	for _, s := range d.store.Services() {
		if !d.controller.Knows(s.Name) {
			reasons[s.Name] = "not started yet"
		}
	}
	return reasons
}

// ready tells whether all services can serve, and if not, why. A management server that is
// away, or that has not told of anything yet, does not count: a sidecar that cannot reach it
// serves what it knows, and would not serve it better for being taken out. What it knows from
// the last run does.
func (d *process) ready() (bool, []string) {
	if d.stopping.Err() != nil {
		return false, []string{"shutting down"}
	}
	if !d.source.settled() {
		return false, []string{"the services of the last run are being read"}
	}
	unready := d.unready()
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(unready)) {
		reasons = append(reasons, "service "+name+": "+unready[name])
	}
	return len(reasons) == 0, reasons
}

func (d *process) services() []admin.ServiceStatus {
	list := d.controller.Services()
	shown := make([]admin.ServiceStatus, len(list))
	for i, s := range list {
		shown[i] = admin.ServiceStatus{
			Name: s.Name, Protocol: s.Protocol, Listen: s.Listen,
			State: string(s.State), LastError: lastError(s), Since: s.Since,
		}
	}
	return shown
}

// lastError has the time of the next try in it: scripts read the state, people
// this.
func lastError(s controller.ServiceStatus) string {
	if s.LastError == "" || s.NextRetry.IsZero() {
		return s.LastError
	}
	return fmt.Sprintf("%s (next try at %s)", s.LastError, s.NextRetry.UTC().Format(time.RFC3339))
}

// mapper is a proc that has a topology to show.
type mapper interface{ Topology() any }

func (d *process) topology(service string) (any, error) {
	return ask(d, "topology", service, mapper.Topology)
}

// chooser is a proc that has endpoints to choose from.
type chooser interface{ Endpoints() any }

func (d *process) endpoints(service string) (any, error) {
	return ask(d, "endpoints", service, chooser.Endpoints)
}

// ask returns what the proc of a service shows, or what all show that have something
// of the kind, by their names.
func ask[P any](d *process, what, service string, show func(P) any) (any, error) {
	if service == "" {
		all := map[string]any{}
		for _, s := range d.controller.Services() {
			if p, ok := d.controller.Proc(s.Name).(P); ok {
				all[s.Name] = show(p)
			}
		}
		return all, nil
	}
	p, ok := d.controller.Proc(service).(P)
	if !ok {
		return nil, fmt.Errorf("%s of service %q: %w", what, service, admin.ErrNotFound)
	}
	return show(p), nil
}

// hotKeyFinder is a proc that finds hot keys.
type hotKeyFinder interface{ HotKeys(count int) any }

// hotKeysAnswer is a list, so that one service and all are read alike.
type hotKeysAnswer struct {
	Services []any `json:"services"`
}

// hotKeys returns those of a service, or of all that find some, by their names.
func (d *process) hotKeys(service string, count int) (any, error) {
	answer := hotKeysAnswer{Services: []any{}}
	known := false
	for _, s := range d.controller.Services() {
		if service != "" && s.Name != service {
			continue
		}
		known = true
		if f, ok := d.controller.Proc(s.Name).(hotKeyFinder); ok {
			answer.Services = append(answer.Services, f.HotKeys(count))
		} else if service != "" {
			return nil, noHotKeys(s)
		}
	}
	if service != "" && !known {
		return nil, fmt.Errorf("hot keys of service %q: %w", service, admin.ErrNotFound)
	}
	return answer, nil
}

// noHotKeys says why a service shows none: it is not one of Redis, or has no proc.
func noHotKeys(s controller.ServiceStatus) error {
	if s.Protocol != protocol.Protocol_Redis.String() {
		return fmt.Errorf("hot keys of service %q: its protocol is %s, only Redis has keys: %w", s.Name, s.Protocol, admin.ErrNotSupported)
	}
	return fmt.Errorf("hot keys of service %q: it does not run: %w", s.Name, admin.ErrNotFound)
}
