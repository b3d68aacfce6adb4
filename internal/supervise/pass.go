package supervise

import (
	"slices"
	"syscall"
)

// pass gives a signal to those whom it is for, and keeps it when there is none.
func (s *supervisor) pass(sig syscall.Signal) {
	given := false
	for _, p := range s.addressees(sig) {
		given = s.give(sig, p) || given
	}
	switch {
	case !given && !slices.Contains(s.held, sig):
		s.held = append(s.held, sig)
	case given && ends(sig):
		s.ending = sig
	}
}

// give tells whether a process has got a signal.
func (s *supervisor) give(sig syscall.Signal, p *process) bool {
	err := p.signal(sig)
	if err != nil {
		s.log.Warn("cannot pass a signal on", "signal", sig.String(), "pid", p.pid, "error", err)
	}
	return err == nil
}

// addressees are the living whom a signal is for.
func (s *supervisor) addressees(sig syscall.Signal) []*process {
	if !s.spoke && !killsRightly(sig) {
		return nil
	}
	living := slices.DeleteFunc(append(slices.Clone(s.before), s.serving), func(p *process) bool { return !p.alive() })
	if len(living) == 0 || ends(sig) {
		return living
	}
	return living[len(living)-1:]
}

// ends tells whether a signal is for everybody that has served.
func ends(sig syscall.Signal) bool { return sig == syscall.SIGTERM || sig == syscall.SIGINT }

// killsRightly tells whether a process that does not catch a signal yet dies as it should.
func killsRightly(sig syscall.Signal) bool { return ends(sig) || sig == syscall.SIGQUIT }
