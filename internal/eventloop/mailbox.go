package eventloop

import (
	"sync"
	"syscall"
	"unsafe"
)

// mailbox carries functions from any goroutine to the loop. An eventfd wakes the
// loop when the mailbox was empty.
type mailbox struct {
	wakeFD int

	mu     sync.Mutex // guards the following
	queue  []func()
	closed bool

	spare []func() // loop-owned: the drained slice, for reuse
}

func (m *mailbox) post(fn func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, fn)
	if len(m.queue) == 1 {
		m.wake()
	}
	return true
}

func (m *mailbox) wake() {
	one := uint64(1)
	// The counter cannot overflow: it is written once per drain.
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(m.wakeFD), uintptr(unsafe.Pointer(&one)), 8)
}

// drain runs what was posted before the call. Functions posted meanwhile wait for
// the next iteration, so that a function that posts itself cannot starve the loop.
func (m *mailbox) drain() {
	var buf [8]byte
	_, _ = sysRead(m.wakeFD, buf[:])
	m.mu.Lock()
	queue := m.queue
	m.queue = m.spare[:0]
	m.mu.Unlock()
	for i, fn := range queue {
		queue[i] = nil
		fn()
	}
	m.spare = queue[:0]
	if cap(m.spare) > 1024 {
		m.spare = nil
	}
}

// close refuses further posts and returns what was still queued.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	queue := m.queue
	m.queue = nil
	return queue
}
