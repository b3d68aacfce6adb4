package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LinkSource is the address that redis-servers here connect from (their
// bind-source-addr). A relay knows by it the link of a replica to its master, which is
// exempt from every fault but Sever: what is tested is the proxy's view of a
// node, while the cluster behind keeps its data.
const LinkSource = "127.0.0.2"

// Answer is what a mangled relay says instead of a node.
type Answer struct {
	Reply []byte
	Close bool // the connection is closed after the reply
}

// Relay is a TCP relay in front of one node, on a port of 127.0.0.1 that it
// keeps until Close. It forwards, until it is told to do something worse;
// Restore makes it well-behaved again. Faults add up: a relay can delay what it
// is about to cut.
//
// Two goroutines copy each connection, one accepts. Close ends them all. All
// methods are safe for concurrent use.
type Relay struct {
	// Immutable.
	port   int
	holder int // fd: bound to the port and never listening, so that nobody takes it while refusing
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup // of all goroutines

	mu sync.Mutex
	// Guarded by mu.
	closed   bool
	target   string
	listener net.Listener  // nil while refusing
	thaw     chan struct{} // closed when a hang ends, nil when there is none
	severed  bool
	delay    time.Duration
	mangle   func(request []byte) (Answer, bool)
	wires    map[*wire]struct{}
}

// NewRelay starts a relay to target, "host:port", which need not answer yet. The
// caller has to call Close.
func NewRelay(target string) (*Relay, error) {
	fd, port, err := holdPort()
	if err != nil {
		return nil, fmt.Errorf("chaos: relay to %s: %w", target, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Relay{port: port, holder: fd, ctx: ctx, stop: stop, target: target, wires: map[*wire]struct{}{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.listenLocked(); err != nil {
		stop()
		return nil, errors.Join(err, unix.Close(fd))
	}
	return r, nil
}

// holdPort binds a socket to a free port of 127.0.0.1. As it does not listen,
// connections are refused; with SO_REUSEPORT a listener can join it.
func holdPort() (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("make a socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("hold a port: %w", err), unix.Close(fd))
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

// listenLocked begins to accept, unless the relay does already.
func (r *Relay) listenLocked() error {
	if r.listener != nil || r.closed {
		return nil
	}
	config := net.ListenConfig{Control: reusePort}
	l, err := config.Listen(r.ctx, "tcp4", r.Addr())
	if err != nil {
		return fmt.Errorf("chaos: relay: %w", err)
	}
	r.listener = l
	r.wg.Go(func() { r.accept(l) })
	return nil
}

// reusePort is the Control of a net.ListenConfig that shares the holder's port.
func reusePort(_, _ string, c syscall.RawConn) (err error) {
	err2 := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, err2)
}

// Addr returns "127.0.0.1:port", which never changes.
func (r *Relay) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// Port returns the port of Addr.
func (r *Relay) Port() int { return r.port }

// Live returns the number of connections that are open now, those of replicas
// included.
func (r *Relay) Live() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wires)
}

// SetTarget makes new connections go to another address.
func (r *Relay) SetTarget(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
}

// CutMidReply makes every connection that is open now end in the middle of its
// next reply: the client gets a part of it, and then a reset. The random numbers
// say how much.
func (r *Relay) CutMidReply(random *rand.Rand) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.wires {
		if !w.link {
			w.cut.Store(random.Uint64() | 1)
		}
	}
}

// Reset resets every connection that is open now.
func (r *Relay) Reset() { r.abort(false) }

// abort resets the connections of clients, or those of replicas.
func (r *Relay) abort(links bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.wires {
		if w.link == links {
			w.abortLocked()
		}
	}
}

// Hang makes the relay a black hole: connections stay open, new ones are
// accepted, and nothing is forwarded in either direction. When it ends, what was
// held goes on, except on connections that the client has closed meanwhile:
// these are dropped with what they hold, so no request is executed long after
// its client gave up.
func (r *Relay) Hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.thaw == nil {
		r.thaw = make(chan struct{})
	}
}

// Refuse makes the relay refuse new connections. Open ones live on; see Reset.
func (r *Relay) Refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deafenLocked()
}

// deafenLocked closes the listener.
func (r *Relay) deafenLocked() {
	if r.listener != nil {
		_ = r.listener.Close() // It was open; there is nobody to tell.
		r.listener = nil
	}
}

// Sever cuts the links of replicas to this node, and lets none come up again.
func (r *Relay) Sever() {
	r.mu.Lock()
	r.severed = true
	r.mu.Unlock()
	r.abort(true)
}

// Delay makes each piece of a reply arrive later by d; 0 ends that.
func (r *Relay) Delay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// Mangle lets f answer CLUSTER commands in place of the node, on connections
// that begin with one. What f does not answer is forwarded. f must not keep the
// request, and is called from several goroutines.
func (r *Relay) Mangle(f func(request []byte) (Answer, bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mangle = f
}

// Restore ends all faults, except for cuts that have not come to pass yet. An
// error means that it cannot listen any more.
func (r *Relay) Restore() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.severed, r.delay, r.mangle = false, 0, nil
	for w := range r.wires {
		w.cut.Store(0)
	}
	r.thawLocked()
	return r.listenLocked()
}

// thawLocked ends a hang.
func (r *Relay) thawLocked() {
	if r.thaw != nil {
		close(r.thaw)
		r.thaw = nil
	}
}

// Close ends all connections, gives the port back, and returns after the
// relay's goroutines. It is idempotent.
func (r *Relay) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.deafenLocked()
	r.stop()
	for w := range r.wires {
		w.abortLocked()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return unix.Close(r.holder)
}

// accept takes connections from a listener until that is closed.
func (r *Relay) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // Out of descriptors: the client tries again.
			_ = pause(r.ctx, 10*time.Millisecond)
			continue
		}
		r.serve(c.(*net.TCPConn))
	}
}

// serve starts to relay a connection, if it is wanted.
func (r *Relay) serve(client *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	host, _, _ := net.SplitHostPort(client.RemoteAddr().String())
	w := &wire{relay: r, client: client, link: host == LinkSource, done: make(chan struct{})}
	if r.closed || w.link && r.severed {
		reset(client)
		return
	}
	r.wires[w] = struct{}{}
	r.wg.Go(w.run)
}

// reset closes a connection with RST instead of FIN.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // Fails only when the connection has gone.
	_ = c.Close()
}
