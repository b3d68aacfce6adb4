package health

import (
	"container/heap"
	"time"
)

const (
	// places is how many checks that have just begun run at a time.
	places = 64
	// patience is how long a check keeps its place. It bounds how long one that is due
	// can have to wait: 64 new checks begin every 50 ms, even if none ever ends.
	patience = 50 * time.Millisecond
	// slowPlaces is how many checks run at a time of addresses that were slow the last
	// time. Each holds a goroutine and a file descriptor for as long as the timeout.
	slowPlaces = 1024
	// idle is how long the scheduler sleeps when it waits for nothing.
	idle = time.Hour
)

// schedule says what is to be checked when. Addresses wait in one of two lanes, by how
// long their last check took, so that those that take their whole timeout do not stand
// in the way of the others. The zero value is ready for use.
type schedule struct {
	prompt lane
	slow   lane

	taken   int        // places of the prompt lane in use
	late    int        // checks that run without one of them
	started []*attempt // that took a place, the oldest first; some have ended
	full    bool       // the end of a check makes room in a lane
}

// lane is a heap of endpoints, the one that is due first on top.
type lane []*endpoint

func (l lane) Len() int           { return len(l) }
func (l lane) Less(i, j int) bool { return l[i].due.Before(l[j].due) }
func (l lane) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

// Push implements [heap.Interface].
func (l *lane) Push(x any) {
	e := x.(*endpoint)
	e.lane, e.index = l, len(*l)
	*l = append(*l, e)
}

// Pop implements [heap.Interface].
func (l *lane) Pop() any {
	last := len(*l) - 1
	e := (*l)[last]
	(*l)[last] = nil
	*l, e.lane = (*l)[:last], nil
	return e
}

// add lets an endpoint wait for its time.
func (s *schedule) add(e *endpoint, due time.Time) {
	s.remove(e)
	e.due = due
	l := &s.prompt
	if e.slow {
		l = &s.slow
	}
	heap.Push(l, e)
}

// remove takes an endpoint that waits out of its lane.
func (s *schedule) remove(e *endpoint) {
	if e.lane != nil {
		heap.Remove(e.lane, e.index)
	}
}

// next takes out an endpoint whose check is due and can begin; nil when there is none.
func (s *schedule) next(now time.Time) *endpoint {
	switch {
	case s.taken < places && s.prompt.isDue(now):
		return heap.Pop(&s.prompt).(*endpoint)
	case s.late < slowPlaces && s.slow.isDue(now):
		return heap.Pop(&s.slow).(*endpoint)
	}
	return nil
}

func (l lane) isDue(now time.Time) bool { return len(l) > 0 && !l[0].due.After(now) }

// begin notes that the check of an endpoint begins.
func (s *schedule) begin(a *attempt) {
	a.endpoint.running = a
	if a.late = a.endpoint.slow; a.late {
		s.late++
		return
	}
	s.taken++
	s.started = append(s.started, a)
}

// end notes that a check has ended.
func (s *schedule) end(a *attempt, now time.Time) {
	a.over = true
	a.endpoint.running = nil
	a.endpoint.slow = now.Sub(a.started) >= patience
	if a.late {
		s.late--
	} else {
		s.taken--
	}
}

// evict takes the places of checks that have had them long enough.
func (s *schedule) evict(now time.Time) {
	for len(s.started) > 0 {
		a := s.started[0]
		if !a.over && now.Sub(a.started) < patience {
			return
		}
		if !a.over {
			a.late = true
			s.taken--
			s.late++
		}
		s.started[0] = nil
		s.started = s.started[1:]
	}
	s.started = nil
}

// wait returns how long there is nothing to do, unless a check ends while it is full.
func (s *schedule) wait(now time.Time) time.Duration {
	until := now.Add(idle)
	sooner := func(t time.Time) {
		if t.Before(until) {
			until = t
		}
	}
	s.full = s.taken >= places || s.late >= slowPlaces
	if s.taken >= places {
		sooner(s.started[0].started.Add(patience))
	} else if len(s.prompt) > 0 {
		sooner(s.prompt[0].due)
	}
	if s.late < slowPlaces && len(s.slow) > 0 {
		sooner(s.slow[0].due)
	}
	return max(0, until.Sub(now))
}
