package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"samaritan/config"
	"samaritan/hotrestart"
	"samaritan/internal/supervise"
	"samaritan/proc"
)

// welcome is what the new process is told with the sockets.
type welcome struct {
	PID      int      `json:"pid"`
	Version  string   `json:"version"`
	NotReady []string `json:"not_ready"` // services that it need not wait for
	Dynamic  []string `json:"dynamic"`   // services that the management server has told of
	Admin    bool     `json:"admin"`     // there is an admin server
}

// successor is the process to start: the binary that is at our path now, with our
// arguments. The processes meet in the data directory, which may have been removed meanwhile.
func (d *process) successor(path string) (hotrestart.Start, error) {
	if err := d.makeData(); err != nil {
		return hotrestart.Start{}, fmt.Errorf("the data directory cannot be used: %w", err)
	}
	cmd := exec.Cmd{Env: os.Environ()}
	err := supervise.Pass(&cmd)
	return hotrestart.Start{
		Dir: d.o.data, Path: path, Args: os.Args[1:], Env: cmd.Env,
		ExtraFiles: cmd.ExtraFiles, Stdout: os.Stdout, Stderr: os.Stderr,
		Version: version, Sessions: sessionsVersion,
		Check: checkTimeout, AckTimeout: d.answerTime(),
		Log: d.log.With("component", "hotrestart"),
	}, err
}

// answerTime is how long the new process may take to answer once clients wait for it. It
// never is more than the time in which it has to be ready.
func (d *process) answerTime() time.Duration { return min(ackTimeout, d.o.restartTimeout) }

// raise starts the new process and returns it when it is ready to take over.
func (r *restarter) raise(ctx context.Context) (*hotrestart.Successor, error) {
	begin := time.Now()
	start, err := r.d.successor(r.path)
	if err != nil {
		return nil, err
	}
	if err := hotrestart.Check(ctx, start); err != nil {
		return nil, err
	}
	r.enter(phaseStarting)
	ctx, cancel := context.WithTimeoutCause(ctx, r.limit, fmt.Errorf("the new process was not ready within %v (-restart-timeout)", r.limit))
	defer cancel()
	s, err := hotrestart.Begin(ctx, start)
	if err != nil {
		return nil, err
	}
	r.found(s)
	if err = r.prepare(ctx, s); err != nil {
		s.Kill()
		return nil, err
	}
	r.mu.Lock()
	r.readyMS.Observe(uint64(time.Since(begin) / time.Millisecond))
	r.mu.Unlock()
	r.d.log.Info("the new process is ready", "pid", s.PID(), "version", s.Version(), "took", time.Since(begin).Round(time.Millisecond))
	return s, nil
}

// found notes the new process.
func (r *restarter) found(s *hotrestart.Successor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Successor = &successorStatus{PID: s.PID(), Version: s.Version()}
	r.enterLocked(phaseWaiting)
}

// prepare gives the new process our sockets and waits until it is ready with them.
func (r *restarter) prepare(ctx context.Context, s *hotrestart.Successor) error {
	list, err := r.d.sockets.duplicates()
	if err != nil {
		return err
	}
	defer closeAll(list)
	if err := s.Offer(list, r.d.welcome()); err != nil {
		return fmt.Errorf("hand the listening sockets to the new process: %w", err)
	}
	return s.AwaitReady(ctx, func(text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.status.Successor.Waiting = text
	})
}

// handOver lets the new process take over, and returns duplicates of our sockets to take
// back with. With an error it has not taken over, and is gone.
func (r *restarter) handOver(ctx context.Context, s *hotrestart.Successor) ([]hotrestart.Listener, error) {
	begin := time.Now()
	r.enter(phaseHanding)
	spare, err := r.d.sockets.duplicates()
	if err == nil {
		err = r.release(ctx, s)
	}
	if err != nil {
		s.Kill()
		r.d.stepForward(spare)
		_ = r.d.claim(false) // the new one may have said already that it serves
		return nil, fmt.Errorf("hand over: %w", err)
	}
	r.named = r.d.pid.read() == s.PID()
	r.d.keepOnly(s.Told())
	r.d.notifier.replacedBy(s.PID())
	r.update(s, r.d.clients()) // tells that systemd knows
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handMS.Observe(uint64(time.Since(begin) / time.Millisecond))
	r.enterLocked(phaseDraining)
	return spare, nil
}

// release gives the word to the new process, with all that it has to know. Most of that is
// gathered before this process stands aside: who connects from then on has to wait.
func (r *restarter) release(ctx context.Context, s *hotrestart.Successor) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.d.answerTime(), errors.New("the new process did not take over in time"))
	defer cancel()
	state, err := r.d.exportState()
	if err != nil {
		return err
	}
	r.d.standAside()
	return s.Go(ctx, complete(state, r.d.clientsOf()))
}

// standAside ends all that only one process can do, but for the clients that are here.
func (d *process) standAside() {
	d.source.end()
	d.sockets.refuse()
	d.console.retire()
	d.eachProc(func(_ string, p proc.Proc) { p.(proc.Pauser).Pause() })
}

// stepForward undoes standAside.
func (d *process) stepForward(spare []hotrestart.Listener) {
	d.numbers.goOn()
	d.sockets.takeBack(spare)
	if err := d.store.Apply(fromFile, d.boot.Load().Services); err != nil {
		d.log.Error("services of the file do not come back", "error", err)
	}
	d.eachProc(func(_ string, p proc.Proc) { p.(proc.Pauser).Resume() })
	d.console.move(d.boot.Load().Proto.GetAdmin().GetBind(), nil, nil)
	if first, err := d.source.prepare(d.boot.Load()); err == nil { // as it was at the start
		d.source.change(first)
	}
}

// keepOnly ends the services that the new process does not have, as a reload without them
// would.
func (d *process) keepOnly(told []byte) {
	var there takenOver
	if err := json.Unmarshal(told, &there); err != nil {
		d.log.Warn("it is not known which services the new process has", "error", err)
		return
	}
	static, dynamic := d.bySource()
	for from, services := range map[string][]*config.Service{fromFile: static, fromSource: dynamic} {
		kept := slices.DeleteFunc(services, func(s *config.Service) bool { return !slices.Contains(there.Services, s.Name) })
		if err := d.store.Apply(from, kept); err != nil {
			d.log.Error("services do not end", "error", err) // fewer cannot clash
		}
	}
}

// bySource returns the services of the file and those of the management server.
func (d *process) bySource() (static, dynamic []*config.Service) {
	inFile := map[string]bool{}
	for _, s := range d.boot.Load().Services {
		inFile[s.Name] = true
	}
	for _, s := range d.store.Services() {
		if inFile[s.Name] {
			static = append(static, s)
		} else {
			dynamic = append(dynamic, s)
		}
	}
	return static, dynamic
}

// eachProc calls fn for the proc of each service that has one.
func (d *process) eachProc(fn func(service string, p proc.Proc)) {
	for _, s := range d.controller.Services() {
		if p := d.controller.Proc(s.Name); p != nil {
			fn(s.Name, p)
		}
	}
}
