package tcp

import "sync"

// mailbox carries functions from any goroutine to a loop. An eventfd wakes the loop when
// the mailbox was empty.
type mailbox struct {
	wakeFD int

	mu     sync.Mutex // guards the following
	queue  []func()
	closed bool
}

// post returns false when the loop has ended and fn will not run.
func (m *mailbox) post(fn func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, fn)
	if len(m.queue) == 1 {
		signal(m.wakeFD)
	}
	return true
}

// drain runs what was posted before the call.
func (m *mailbox) drain() {
	unsignal(m.wakeFD)
	m.mu.Lock()
	queue := m.queue
	m.queue = nil
	m.mu.Unlock()
	for _, fn := range queue {
		fn()
	}
}

// close refuses further posts, and runs what was posted before.
func (m *mailbox) close() {
	m.mu.Lock()
	queue := m.queue
	m.queue, m.closed = nil, true
	m.mu.Unlock()
	for _, fn := range queue {
		fn()
	}
}
