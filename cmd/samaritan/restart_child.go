package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"samaritan/config"
	"samaritan/controller"
	"samaritan/hotrestart"
	"samaritan/proc"
)

// readyEvery is how often a process that takes over looks whether it is ready.
const readyEvery = 2 * time.Millisecond

// inheritance is what a process gets from the one that it takes over from. None of its
// methods needs one.
type inheritance struct {
	from    *hotrestart.Predecessor // nil: there is no process before
	welcome welcome
	named   bool      // the pid file was that of the process before
	door    adminDoor // of this process, until it serves
	// notify has systemd hear of this process. It does so from the moment on that it
	// knows that this is the main one, which it is told by the process before.
	notify func()
}

// inherit connects to the process that has started this one, if one has, and gets the
// listening sockets. A parent that is gone leaves what came so far.
func (d *process) inherit(ctx context.Context) error {
	p, err := hotrestart.Inherit(ctx, version, sessionsVersion)
	if errors.Is(err, hotrestart.ErrNoParent) {
		d.log.Warn("the process before has gone already, this is a start like any other", "reason", err)
		return nil
	}
	if p == nil || err != nil {
		return err
	}
	list, told, err := p.Listeners(ctx)
	d.sockets.inherit(list)
	if errors.Is(err, hotrestart.ErrParentGone) {
		d.log.Warn("the process before has gone, this one goes on with what it has", "sockets", len(list))
		return nil
	}
	if err != nil {
		return fmt.Errorf("take over the listening sockets: %w", err)
	}
	d.heir.from = p
	d.source.predecessor = d.o.restartTimeout + d.answerTime()
	if err := json.Unmarshal(told, &d.heir.welcome); err != nil {
		return fmt.Errorf("take over: read the welcome: %w", err)
	}
	d.heir.named = d.pid.read() == d.heir.welcome.PID
	d.log.Info("takes over from another process", "pid", d.heir.welcome.PID, "version", d.heir.welcome.Version, "sockets", len(list))
	return nil
}

// welcome is for the process that follows.
func (d *process) welcome() welcome {
	_, dynamic := d.bySource()
	return welcome{
		PID: d.restarter.status.PID, Version: version,
		NotReady: slices.Sorted(maps.Keys(d.unready())), Dynamic: namesOf(dynamic),
		Admin: d.console.serves(),
	}
}

// takeOver makes this process the one that serves, once it is ready to, and then takes
// over clients until the process before has none to give any more.
func (d *process) takeOver(ctx context.Context) {
	p := d.heir.from
	if !d.awaitReady(ctx) {
		return
	}
	_ = d.bindAdmin(ctx) // else the console binds it as soon as it can
	state, err := p.Ready(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, hotrestart.ErrParentGone):
		if err := d.claim(d.heir.named); err != nil {
			d.log.Warn("the process before has gone without handing over, and the one before that serves: this one ends", "reason", err)
			d.stop()
			return
		}
		d.log.Warn("the process before has gone without handing over, this one serves in its place")
		close(d.gate)
		d.begin(d.heir.door.of(d.adminAddress()))
		d.heir.notify()
		return
	case err != nil:
		d.log.Error("cannot take over, this process ends", "error", err)
		d.stop()
		return
	}
	// Clients have waited to be accepted since the other process has stopped. What they do
	// in the moment until the rest is known is counted by workers, and shown to nobody yet.
	rest := takeNumber(state)
	d.setElsewhere(clientsBefore(rest))
	close(d.gate)
	d.importState(rest)
	d.begin(d.heir.door.of(d.adminAddress()))
	told, _ := json.Marshal(takenOver{Services: namesOf(d.store.Services())}) // plain strings
	if err := p.Taken(told); err != nil {
		d.log.Warn("the process before does not know that this one serves", "error", err)
	}
	d.log.Info("took over", "pid", d.heir.welcome.PID)
	d.follow(ctx)
}

// begin shows that this process serves, which it does once the gate is open.
func (d *process) begin(door net.Listener) {
	d.console.move(d.boot.Load().Proto.GetAdmin().GetBind(), door, nil)
	_ = d.claim(false) // nothing keeps it from that
	d.restarter.enter(phaseServing)
}

// unbindUnused ends the inherited sockets that are not in the config, once every service has
// had its chance to ask for its own.
func (d *process) unbindUnused() {
	select {
	case <-d.gate:
	case <-d.stopping.Done():
		return
	}
	if !d.sockets.unused() {
		return
	}
	for began := time.Now(); !d.allHaveAsked(); began = time.Now() {
		if !sleep(d.stopping, untilNextLook(began, readyEvery)) {
			return
		}
	}
	if gone := d.sockets.unbindRest(); len(gone) > 0 {
		d.log.Info("addresses are not in the config any more", "addresses", gone)
	}
}

// allHaveAsked tells whether each service that there is by now listens, or cannot.
func (d *process) allHaveAsked() bool {
	tried := 0
	for _, s := range d.controller.Services() {
		if s.State == controller.Running || s.State == controller.Failed {
			tried++
		}
	}
	return d.source.settled() && tried >= len(d.store.Services())
}

// awaitReady returns when this process can serve all that the one before serves, or that
// one is gone: what can be served is better than nothing then. False means that ctx has
// ended.
func (d *process) awaitReady(ctx context.Context) bool {
	for {
		began := time.Now()
		missing := d.missing()
		if len(missing) == 0 || os.Getppid() != d.heir.from.PID() {
			return true
		}
		d.heir.from.Progress(strings.Join(few(missing), "; "))
		if !sleep(ctx, untilNextLook(began, readyEvery)) {
			return false
		}
	}
}

// missing says what keeps this process from taking over. Services that the one before
// does not serve either do not count, nor does an admin server.
func (d *process) missing() (reasons []string) {
	if !d.source.settled() {
		return []string{"the services of the last run are being read"}
	}
	if names := d.untold(); len(names) > 0 {
		return []string{"the management server has not told of these services yet: " + strings.Join(few(names), ", ")}
	}
	unready := d.unready()
	for _, name := range d.heir.welcome.NotReady {
		delete(unready, name)
	}
	for _, name := range slices.Sorted(maps.Keys(unready)) {
		reasons = append(reasons, "service "+name+": "+unready[name])
	}
	if err := d.bindAdmin(d.stopping); err != nil && d.needsAdmin() {
		reasons = append(reasons, "admin.bind: "+err.Error())
	}
	return reasons
}

// untold are the services of the management server that the process before has, and that
// this one may still hear of: what is on disk may be old, or not there.
func (d *process) untold() []string {
	if len(d.heir.welcome.Dynamic) == 0 || d.source.told() {
		return nil
	}
	known := namesOf(d.store.Services())
	return slices.DeleteFunc(slices.Clone(d.heir.welcome.Dynamic), func(name string) bool { return slices.Contains(known, name) })
}

// follow takes over clients until the process before has ended.
func (d *process) follow(ctx context.Context) {
	d.restarter.succeed(d.heir.welcome)
	err := d.heir.from.Serve(ctx, hotrestart.Handler{
		Session: d.adopt,
		State:   func(data []byte) { d.importUpdate(data); d.heir.notify() },
	})
	d.heir.notify()
	if ctx.Err() != nil {
		d.heir.from.Ending()
	} else if err != nil {
		d.log.Warn("the process before has gone before it had handed over everything", "error", err)
	}
	d.setElsewhere(nil)
	adopted := d.restarter.alone()
	d.log.Info("the process before has ended", "pid", d.heir.welcome.PID, "clients_adopted", adopted)
}

// adopt takes over a client.
func (d *process) adopt(service string, fd int, state, input []byte) (begin func(), err error) {
	m, ok := d.controller.Proc(service).(proc.Mover)
	if !ok {
		return nil, fmt.Errorf("service %q does not take clients over", service)
	}
	begin, err = m.Adopt(proc.Client{FD: fd, State: state, Input: input})
	if err == nil {
		d.restarter.adopted()
	}
	return begin, err
}

func namesOf(services []*config.Service) (names []string) {
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names
}
