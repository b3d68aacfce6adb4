package supervise

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// supervisor is the state of Run.
type supervisor struct {
	// immutable
	log    *slog.Logger
	orders chan os.Signal // to be passed on
	deaths chan os.Signal // one child has ended, or more

	pipe *earpiece // set once, by listen

	// owned by the loop
	serving *process       // dead perhaps
	before  []*process     // others that have served, oldest first; dead ones are dropped by and by
	spoke   bool           // somebody has announced himself
	ending  syscall.Signal // what asked for the end last; 0: nothing did
	held    []syscall.Signal
	last    corpse // the child that was reaped last
}

// corpse is a process that was reaped.
type corpse struct {
	pid    int
	status unix.WaitStatus
}

func newSupervisor(log *slog.Logger) *supervisor {
	return &supervisor{log: log, orders: make(chan os.Signal, 64), deaths: make(chan os.Signal, 1)}
}

// catch registers for what is passed on, and for the end of children. These have a channel of
// their own: however many die, no order is dropped for want of room.
func (s *supervisor) catch() {
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads is no reason to end
	signal.Notify(s.orders, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT)
	signal.Notify(s.deaths, syscall.SIGCHLD)
}

func (s *supervisor) close() {
	signal.Stop(s.orders)
	signal.Stop(s.deaths)
	if s.pipe != nil {
		s.pipe.close()
	}
}

// run passes signals on and reaps until nobody is left, and returns the exit code. What has
// been announced is taken up first each time, so that a signal goes to who serves by now, and
// a process is known by what it said before it died.
func (s *supervisor) run() int {
	for {
		s.hear()
		over := s.pipe.silent && !s.anyoneLives() // asked before the last ones are reaped
		if childless := s.reap(); childless || over {
			return s.code()
		}
		select {
		case sig := <-s.orders:
			s.hear()
			s.pass(sig.(syscall.Signal))
		case <-s.deaths:
		case <-s.pipe.said:
		}
	}
}

// hear takes up what was announced: those who serve, one after the other.
func (s *supervisor) hear() {
	for _, pid := range s.pipe.read(s.log) {
		s.announced(pid)
	}
}

// announced makes a process the one that serves.
func (s *supervisor) announced(pid int) {
	if pid != s.serving.pid || !s.serving.alive() {
		p := watch(pid)
		switch {
		case p.exists(): // dead perhaps, and then its status is still to come
		case s.last.pid == pid: // it spoke, died, and was reaped, faster than we listened
			p.end(s.last.status)
		default: // its parent has reaped it, and takes over again perhaps
			p.gone = true
		}
		s.succeed(p)
	}
	s.spoke = true
	held := s.held
	s.held = nil
	for _, sig := range held {
		s.pass(sig)
	}
}

// succeed puts a process in the place of the one that serves. One that was not there yet when
// the end was asked for is asked, too.
func (s *supervisor) succeed(p *process) {
	if s.ending != 0 && p.alive() && !slices.ContainsFunc(s.before, func(old *process) bool { return old.pid == p.pid }) {
		s.give(s.ending, p)
	}
	s.before = slices.DeleteFunc(append(s.before, s.serving), func(old *process) bool {
		gone := old.pid == p.pid || !old.alive()
		if gone {
			old.release()
		}
		return gone
	})
	s.serving = p
}

// reap takes the status of every child that has ended. It returns true when there is no
// child left.
func (s *supervisor) reap() (childless bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return true // ECHILD
		case pid == 0:
			return false
		}
		s.last = corpse{pid, status}
		s.hear()
		s.ended(pid, status)
	}
}

// ended notes the end of a child, if it is one that has served.
func (s *supervisor) ended(pid int, status unix.WaitStatus) {
	for _, p := range slices.Concat(s.before, []*process{s.serving}) {
		if p.pid == pid {
			p.end(status)
		}
	}
}

func (s *supervisor) anyoneLives() bool {
	return s.serving.alive() || slices.ContainsFunc(s.before, (*process).alive)
}

// code is the exit code of the process that serves, or served last.
func (s *supervisor) code() int {
	switch status := s.serving.status; {
	case !s.serving.reaped:
		s.log.Error("the daemon has ended, nobody knows how", "pid", s.serving.pid)
		return exitUnknown
	case status.Signaled():
		s.log.Error("the daemon was killed", "pid", s.serving.pid, "signal", status.Signal().String())
		return 128 + int(status.Signal())
	default:
		return status.ExitStatus()
	}
}
