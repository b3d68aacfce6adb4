package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"samaritan/admin"
	"samaritan/config"
	"samaritan/controller"
	"samaritan/internal/eventloop"
	"samaritan/internal/logging"
	"samaritan/internal/stats"
	"samaritan/proc"
)

// afterDrain is how long a proc may need beyond its drain time before the process
// ends without it.
const afterDrain = 5 * time.Second

var (
	errForced = errors.New("ended at once by a second signal")
	errStuck  = errors.New("the services did not end within the drain time")
)

// process has the parts of the running daemon.
type process struct {
	o       options
	boot    *config.Bootstrap
	log     *logging.Logger
	runtime *stats.Runtime
	pid     pidFile

	loops      *eventloop.Group
	store      *config.Store
	controller *controller.Controller

	stopping context.Context // ends when the graceful end begins
	stop     context.CancelFunc
	forced   context.Context // ends when there is no time for grace
	force    context.CancelFunc
}

// newDaemon builds all parts and starts none.
func newDaemon(o options, boot *config.Bootstrap, log *logging.Logger) (*process, error) {
	d := &process{
		o: o, boot: boot, log: log,
		runtime: stats.NewRuntime(time.Now()),
		pid:     pidFile{o.pidFile},
		store:   config.NewStore(),
	}
	d.stopping, d.stop = context.WithCancel(context.Background())
	d.forced, d.force = context.WithCancel(context.Background())
	if err := d.store.Apply("static", boot.Services); err != nil {
		return nil, err
	}
	var err error
	if d.loops, err = eventloop.NewGroup(o.workers); err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	d.controller = controller.New(controller.Options{
		Events:   d.store.Events(),
		Builders: builders(),
		Env: proc.Env{
			Listen: listen, Loops: d.loops, Log: log.With("component", "proc"),
			Drain: o.drain, Version: version,
		},
		Log: log.With("component", "controller"),
	})
	return d, nil
}

// part is a goroutine of the daemon with an end of its own.
type part struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newPart() *part {
	p := &part{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// end stops the part and waits for it.
func (p *part) end() {
	p.cancel()
	p.wg.Wait()
}

// run serves until the end begins, and then ends the parts in their order. Two
// ends are not graceful: that by a second signal, and that after a proc that does
// not end. Then the parts are left to die with the process.
func (d *process) run() error {
	d.announce()
	around, loops, adm := newPart(), newPart(), newPart()
	sig := catchSignals(d.log.Logger, d.stop, d.force)
	around.wg.Go(func() { sig.handle(around.ctx) })
	loops.wg.Go(func() { d.runLoops(loops.ctx) })
	adm.wg.Go(func() { d.runAdmin(adm.ctx) })
	around.wg.Go(func() { d.runStore(d.stopping) })
	around.wg.Go(func() { newNotifier(d.log.Logger, d.ready, d.loops).run(d.stopping) })
	drained := make(chan error, 1)
	go func() { drained <- d.controller.Run(d.stopping) }()
	d.openData()
	defer d.closeData()

	<-d.stopping.Done()
	if err := d.awaitDrain(drained); err != nil {
		return err
	}
	adm.end()
	loops.end()
	around.end()
	return nil
}

// awaitDrain waits for the procs, as long as they may take.
func (d *process) awaitDrain(drained <-chan error) error {
	limit := time.NewTimer(d.o.drain + afterDrain)
	defer limit.Stop()
	select {
	case err := <-drained:
		return err
	case <-d.forced.Done():
		return errForced
	case <-limit.C:
		return errStuck
	}
}

// announce writes the one line that every start has, and what the config asks for
// in vain.
func (d *process) announce() {
	d.log.Info("samaritan starts", "version", version, "pid", os.Getpid(), "config", d.o.config)
	warnOfFewFiles(d.log.Logger)
	if d.boot.Proto.DynamicSourceConfig != nil {
		d.log.Warn("dynamic_source_config is ignored: not supported by this build")
	}
	if len(d.boot.Proto.GetStats().GetSinks()) > 0 {
		d.log.Warn("stats.sinks is ignored: not supported by this build")
	}
}

// openData makes the data directory and the pid file. Neither is needed to serve.
func (d *process) openData() {
	if err := makeDataDir(d.o.data, d.o.dataSet); err != nil {
		d.log.Warn("cannot use the data directory, going on without", "error", err)
		if filepath.Dir(d.o.pidFile) == filepath.Clean(d.o.data) {
			return
		}
	}
	if err := d.pid.write(); err != nil {
		d.log.Warn("cannot write the pid file, going on without", "error", err)
	}
}

func (d *process) closeData() {
	if err := d.pid.remove(); err != nil {
		d.log.Warn("cannot remove the pid file", "error", err)
	}
}

func (d *process) runLoops(ctx context.Context) {
	if err := d.loops.Run(ctx); err != nil {
		d.log.Error("event loops ended", "error", err)
	}
}

func (d *process) runStore(ctx context.Context) {
	if err := d.store.Run(ctx); err != nil {
		d.log.Error("config store ended", "error", err)
	}
}

// runAdmin serves as soon as the address can be bound. It is not needed to serve
// clients, so it is tried for ever.
func (d *process) runAdmin(ctx context.Context) {
	address := hostPort(d.boot.Proto.GetAdmin().GetBind())
	for ctx.Err() == nil {
		ln := bind(ctx, d.log.Logger, address)
		if ln == nil {
			return
		}
		if err := admin.New(d.adminOptions()).Serve(ctx, ln); err != nil {
			d.log.Error("admin server failed", "error", err)
			sleep(ctx, bindMin)
		}
	}
}
