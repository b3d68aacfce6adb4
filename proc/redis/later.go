package redis

// later is a command whose answer takes other goroutines, such as other loops.
type later struct {
	w    *worker
	r    *request                // its place in the session's order; a kindLocal of nobody else
	work func(dst []byte) []byte // appends the reply to dst
	done []byte                  // the reply
}

// answerLater answers the request being handled with what work appends to dst. work
// runs on a goroutine of its own; it must not wait for long, must return also while the
// service ends, and reaches loops by posting only. Until the reply is there the session
// takes up nothing else: what it sends behind finds the effects of work. Its command is
// one of those that wait for a quiet moment (needsQuiet), so that work finds the
// effects of what was sent before.
//
// The reply goes out exactly once, and nowhere when the session is gone or mute.
// Proc.Run returns after all work that has begun.
func (s *session) answerLater(work func(dst []byte) []byte) {
	r := s.w.newRequest(s, nil, kindLocal)
	s.push(r)
	s.stop |= stopMap // until nothing of the session is in flight
	l := &later{w: s.w, r: r, work: work}
	s.w.proc.laters.Go(l.run)
}

// run is the work, on its goroutine. When the loop has ended, the session has too.
func (l *later) run() {
	l.done = l.work(nil)
	l.w.loop.Post(l.finish)
}

// finish hands the reply over, on the loop.
func (l *later) finish() {
	s := l.r.sess
	if s == nil {
		l.w.recycle(l.r)
		return
	}
	s.complete(l.r, l.done, nil)
}

// askWorker runs ask for a worker on its loop and returns the answer. It waits, so it must
// not be called on a loop. False means that the loop has ended.
func askWorker[T any](w *worker, ask func(*worker) T) (answer T, ok bool) {
	answered := make(chan struct{})
	if !w.loop.Post(func() { answer = ask(w); close(answered) }) {
		return answer, false
	}
	<-answered
	return answer, true
}

// askWorkers runs ask for every worker of the service on its loop and returns the
// answers, in no order. It waits for all of them, so it must not be called on a loop.
// Loops that have ended give none.
func askWorkers[T any](p *Proc, ask func(*worker) T) []T {
	workers := p.allWorkers()
	answers := make(chan T, len(workers))
	asked := 0
	for _, w := range workers {
		if w.loop.Post(func() { answers <- ask(w) }) {
			asked++
		}
	}
	all := make([]T, 0, asked)
	for range asked {
		all = append(all, <-answers) // a loop that has taken the question answers, also when it ends
	}
	return all
}
