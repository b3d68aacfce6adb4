package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/admin"
	"samaritan/config"
	"samaritan/controller"
	"samaritan/internal/eventloop"
	"samaritan/internal/filewatch"
	"samaritan/internal/logging"
	"samaritan/internal/stats"
	"samaritan/internal/supervise"
	"samaritan/proc"
)

// afterDrain is how long a proc may need beyond its drain time before the process
// ends without it.
const afterDrain = 5 * time.Second

// afterProcs is how long everything else may take to end after the procs. A file on a
// server that is away could hold it up for ever.
const afterProcs = 10 * time.Second

var (
	errForced = errors.New("ended at once by a second signal")
	errStuck  = errors.New("the services did not end within the drain time")
	errHangs  = errors.New("the services have ended, but the rest of the process does not")
)

// process has the parts of the running daemon.
type process struct {
	o       options
	boot    atomic.Pointer[config.Bootstrap] // in force
	known   filewatch.Sum                    // of the file, before it was read at the start
	log     *logging.Logger
	runtime *stats.Runtime
	pid     pidFile

	loops      *eventloop.Group
	store      *config.Store
	sockets    *sockets
	gate       chan struct{} // closed when clients may come
	controller *controller.Controller
	console    *console
	source     *source
	notifier   *notifier
	reloader   *reloader
	restarter  *restarter
	carried    *stats.Carried // the totals of the processes before
	admin      admin.Counters
	numbers    numbers
	heir       inheritance

	turn sync.Mutex // of a reload or a restart: they change what runs

	stopping context.Context // ends when the graceful end begins
	stop     context.CancelFunc
	forced   context.Context // ends when there is no time for grace
	force    context.CancelFunc
}

// newDaemon builds all parts and starts none. known is the sum of the file as it was
// before it was read.
func newDaemon(o options, boot *config.Bootstrap, known filewatch.Sum, log *logging.Logger) (*process, error) {
	d := &process{
		o: o, known: known, log: log,
		runtime: stats.NewRuntime(time.Now()),
		pid:     pidFile{o.pidFile},
		store:   config.NewStore(),
		sockets: new(sockets), gate: make(chan struct{}),
	}
	d.boot.Store(boot)
	d.stopping, d.stop = context.WithCancel(context.Background())
	d.forced, d.force = context.WithCancel(context.Background())
	if err := d.store.Apply(fromFile, boot.Services); err != nil {
		return nil, err
	}
	var err error
	if d.loops, err = eventloop.NewGroup(o.workers); err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	d.numbers.live = d.allSources
	d.carried = stats.NewCarried(d.exists)
	d.controller = controller.New(controller.Options{
		Events:   d.store.Events(),
		Builders: builders(),
		Env: proc.Env{
			Listen: d.sockets.listen, Loops: d.loops, Log: log.With("component", "proc"),
			Gate: d.gate, Drain: o.drain, Version: version,
		},
		Share: d.sockets.share,
		Log:   log.With("component", "controller"),
		Anew:  d.countsAnew,
	})
	d.source = newSource(d.stopping, log, d.store)
	d.console = newConsole(log.Logger, d.sockets.listen, func() *admin.Server { return admin.New(d.adminOptions()) })
	d.reloader = newReloader(log.Logger, d.takeConfig, func(begins bool) { d.notifier.reloading(begins) })
	d.notifier = newNotifier(log.Logger, d.ready, d.trouble, d.loops)
	d.restarter = newRestarter(d, o.binary)
	return d, nil
}

// trouble is for the status line: why the file is not in force, and why this process still
// is the one that serves. It is empty when nothing has failed.
func (d *process) trouble() string {
	var all []string
	if why := d.reloader.lastTrouble(); why != "" {
		all = append(all, "the last reload failed: "+why)
	}
	if why := d.restarter.lastError(); why != "" {
		all = append(all, "the last hot restart failed: "+why)
	}
	return strings.Join(all, "; ")
}

// countsAnew drops what the processes before have counted for a service, once it is shown.
func (d *process) countsAnew(service string) {
	select {
	case <-d.gate:
		d.carried.Forget(service)
	default:
	}
}

// part is a goroutine of the daemon with an end of its own.
type part struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newPart makes a part that ends with ctx at the latest.
func newPart(ctx context.Context) *part {
	p := &part{}
	p.ctx, p.cancel = context.WithCancel(ctx)
	return p
}

// end stops the part and waits for it.
func (p *part) end() {
	p.cancel()
	p.wg.Wait()
}

// run serves until the end begins, and then ends the parts in their order. Two
// ends are not graceful: that by a second signal, and that after a part that does
// not end. Then the parts are left to die with the process.
func (d *process) run() error {
	d.announce()
	always := context.Background()
	around, loops := newPart(always), newPart(always)
	atOnce := func() { d.stop(); d.force() }
	sig := catchSignals(d.log.Logger, d.restarter.end, atOnce, func() { d.reloader.request(bySignal) }, d.restarter.signalled)
	around.wg.Go(func() { sig.handle(around.ctx) })
	loops.wg.Go(func() { d.runLoops(loops.ctx) })
	d.heir.notify = sync.OnceFunc(func() { around.wg.Go(func() { d.notifier.run(d.stopping) }) })
	d.openData()
	defer d.closeData()
	around.wg.Go(d.unbindUnused)
	if d.heir.from == nil {
		close(d.gate)
		d.begin(nil)
		d.heir.notify()
	}
	around.wg.Go(func() { d.runStore(d.stopping) })
	around.wg.Go(d.watchSupervisor)
	drained := make(chan error, 1)
	go func() { drained <- d.controller.Run(d.stopping) }()
	reloads := d.startReloads()

	<-d.stopping.Done()
	if err := d.await(drained, d.o.drain+afterDrain, errStuck); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		reloads.end() // before what a reload may start
		d.restarter.farewell()
		d.source.end()
		d.console.end()
		loops.end()
	}()
	if err := d.await(ended, afterProcs, errHangs); err != nil {
		return err
	}
	around.end() // until then a second signal is heard
	return nil
}

// startReloads follows the management server, and then whatever asks for a reload.
func (d *process) startReloads() *part {
	if first, err := d.source.prepare(d.boot.Load()); err != nil {
		d.log.Error("cannot follow the management server", "error", err)
		d.source.change(&sourceChange{absent: err.Error()})
	} else {
		d.source.change(first)
	}
	reloads := newPart(d.stopping)
	reloads.wg.Go(func() { d.reloader.run(reloads.ctx) })
	reloads.wg.Go(func() { d.restarter.run(reloads.ctx) })
	if d.heir.from != nil {
		reloads.wg.Go(func() { d.takeOver(reloads.ctx) })
	}
	if d.o.watch {
		reloads.wg.Go(func() { d.watch(reloads.ctx) })
	}
	return reloads
}

// watch has the config reloaded when the file has changed.
func (d *process) watch(ctx context.Context) {
	w := filewatch.New(filewatch.Options{
		Path: d.o.config, Known: d.known, Log: d.log.With("component", "watch"),
		Changed: func() {
			if !d.restarter.replaced() { // else it is for the process that serves
				d.reloader.request(byWatch)
			}
		},
	})
	if err := w.Run(ctx); err != nil {
		d.log.Error("the config file is not watched", "error", err)
	}
}

// await waits for the end of something, as long as that may take. late is the error when
// it takes longer.
func (d *process) await(ended <-chan error, within time.Duration, late error) error {
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-d.forced.Done():
		return errForced
	case <-limit.C:
		return late
	}
}

// announce writes the one line that every start has, and what the config asks for
// in vain.
func (d *process) announce() {
	d.log.Info("samaritan starts", "version", version, "pid", os.Getpid(), "config", d.o.config)
	warnOfFewFiles(d.log.Logger)
	d.warnOfSinks(d.boot.Load())
}

func (d *process) warnOfSinks(boot *config.Bootstrap) {
	if len(boot.Proto.GetStats().GetSinks()) > 0 {
		d.log.Warn("stats.sinks is ignored: not supported by this build")
	}
}

// makeData makes the data directory, unless it is there and can be used.
func (d *process) makeData() error { return makeDataDir(d.o.data, d.o.dataSet) }

// openData makes the data directory. It is not needed to serve.
func (d *process) openData() {
	err := d.makeData()
	if err == nil {
		d.source.dir, d.source.makeDir = d.o.data, d.makeData
		return
	}
	d.log.Warn("cannot use the data directory, going on without", "error", err)
	if filepath.Dir(d.o.pidFile) == filepath.Clean(d.o.data) {
		d.pid = pidFile{} // none
	}
}

// watchSupervisor ends the process with its supervisor, which may be started anew.
func (d *process) watchSupervisor() {
	if supervise.Lost(d.stopping) == nil {
		d.log.Error("the supervisor is gone, ending")
		d.stop()
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
