package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"samaritan/admin"
	"samaritan/config"
	"samaritan/internal/logging"
)

// The sources of services in the store.
const (
	fromFile   = "static"
	fromSource = "dynamic"
)

// transaction brings the process from one config to another. All that can fail is
// made ready first (prepare) and, when something fails, given back (discard): then
// nothing has changed. Services are applied next, which is refused as a whole or not
// at all; the rest cannot fail (commit).
//
// Two things are outside of it, as they cannot be tried without doing harm to what
// runs, and both are retried until they succeed, with the old one serving meanwhile:
// the listeners of services, which the controller binds (/services shows a failure),
// and an admin address that this process itself holds now and is about to give up.
type transaction struct {
	d        *process
	old, now *config.Bootstrap
	changed  admin.Reloaded

	output *logging.Prepared // nil: stays
	door   net.Listener      // of the admin server; nil: stays, or is bound later
	source *sourceChange     // nil: stays
}

// loadConfig reads the file as the start did. The error is of the type
// [admin.Refused].
func (d *process) loadConfig() (*config.Bootstrap, error) {
	boot, err := config.Options{InstanceID: d.o.id, Belong: d.o.service, OnlyRegular: true}.Load(d.o.config)
	if err == nil {
		return boot, nil
	}
	refused := &admin.Refused{Reason: "the config file is not valid"}
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			refused.Problems = append(refused.Problems, p.String())
		}
	}
	return nil, refused
}

// takeConfig brings what is in the file in force, or changes nothing.
func (d *process) takeConfig(ctx context.Context) (admin.Reloaded, error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	if d.restarter.replaced() {
		return admin.Reloaded{}, errReplaced
	}
	boot, err := d.loadConfig()
	if err != nil {
		return admin.Reloaded{}, err
	}
	old := d.boot.Load()
	t := &transaction{d: d, old: old, now: boot, changed: difference(old, boot)}
	if unchanged(&t.changed) {
		return t.changed, nil
	}
	err = t.prepare(ctx)
	if err == nil {
		err = t.applyServices()
	}
	if err != nil {
		t.discard()
		return admin.Reloaded{}, err
	}
	t.commit()
	return t.changed, nil
}

func (t *transaction) differs(settings ...string) bool {
	return slices.ContainsFunc(settings, func(s string) bool { return slices.Contains(t.changed.Settings, s) })
}

// prepare makes ready what can fail.
func (t *transaction) prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errEnding
	}
	var err error
	if t.differs(setOutput) {
		if t.output, err = t.d.log.Prepare(ctx, logOptions(t.now.Proto.GetLog())); err != nil {
			return fmt.Errorf("log.output: %w", err)
		}
	}
	if t.differs(setAdmin) && !t.d.console.holds(t.now.Proto.GetAdmin().GetBind(), t.old.Services) {
		if t.door, err = t.d.sockets.listen(ctx, "tcp", hostPort(t.now.Proto.GetAdmin().GetBind())); err != nil {
			return fmt.Errorf("admin.bind: %w", err)
		}
	}
	if t.differs(setSource, setInstance) {
		if t.source, err = t.d.source.prepare(t.now); err != nil {
			return fmt.Errorf("%s: %w", setSource, err)
		}
	}
	return nil
}

// discard gives back what was made ready.
func (t *transaction) discard() {
	if t.output != nil {
		t.output.Discard()
	}
	if t.door != nil {
		_ = t.door.Close()
	}
}

// applyServices hands the services to the store, which tells the controller what
// changed. When the file has no management server any more, the services of that one
// go first, and leave their names to the file.
func (t *transaction) applyServices() error {
	if t.source != nil && t.source.client == nil {
		t.d.source.change(t.source)
	}
	err := t.d.store.Apply(fromFile, t.now.Services)
	if err == nil {
		return nil
	}
	refused := &admin.Refused{Reason: "the services of the config file cannot be taken"}
	for problem := range strings.Lines(err.Error()) {
		refused.Problems = append(refused.Problems, t.d.o.config+": "+strings.TrimSpace(problem))
	}
	return refused
}

// commit brings the rest in force.
func (t *transaction) commit() {
	d := t.d
	d.boot.Store(t.now)
	if t.differs(setLevel) {
		_ = d.log.SetLevel(t.now.Proto.GetLog().GetLevel().String()) // a level of the file is known
	}
	if t.output != nil {
		d.log.Info("the log goes to another output now", "output", outputOf(t.now.Proto))
		t.output.Use()
	}
	if t.differs(setAdmin) {
		d.console.move(t.now.Proto.GetAdmin().GetBind(), t.door, t.now.Services)
	}
	if t.source != nil {
		d.source.change(t.source)
	}
	if t.differs(setSinks) {
		d.warnOfSinks(t.now)
	}
	d.source.retry()
}
