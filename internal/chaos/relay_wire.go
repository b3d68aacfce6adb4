package chaos

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// wireBuffer is the size of the pieces that are forwarded, in bytes.
const wireBuffer = 64 << 10

// tcpClose is the first of the states of a socket whose peer has closed, see
// include/net/tcp_states.h of Linux: CLOSE, CLOSE_WAIT, LAST_ACK.
const tcpClose = 7

// wire is one connection of a client through a relay to its node.
type wire struct {
	// Immutable.
	relay  *Relay
	client *net.TCPConn
	link   bool // of a replica to its master
	done   chan struct{}

	// Random bits, or 0: the next reply is cut at a place that these choose.
	cut atomic.Uint64

	// Guarded by relay.mu.
	node    *net.TCPConn // nil until it is dialled
	aborted bool
}

// run connects to the node and copies in both directions until both have ended.
func (w *wire) run() {
	defer w.end()
	if !w.gate() || !w.dial() {
		w.abort()
		return
	}
	var replies sync.WaitGroup
	replies.Go(w.replies)
	w.requests()
	replies.Wait()
}

// end closes both sides and leaves the relay's list.
func (w *wire) end() {
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	delete(w.relay.wires, w)
	_ = w.client.Close() // Both directions have ended.
	if w.node != nil {
		_ = w.node.Close()
	}
}

// dial connects to the relay's target and reports whether that worked.
func (w *wire) dial() bool {
	w.relay.mu.Lock()
	target := w.relay.target
	w.relay.mu.Unlock()
	d := net.Dialer{Timeout: ConnectTimeout}
	c, err := d.DialContext(w.relay.ctx, "tcp", target)
	if err != nil {
		return false
	}
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	w.node = c.(*net.TCPConn)
	return !w.aborted
}

// abort resets both sides.
func (w *wire) abort() {
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	w.abortLocked()
}

// abortLocked is abort under relay.mu.
func (w *wire) abortLocked() {
	if w.aborted {
		return
	}
	w.aborted = true
	close(w.done)
	reset(w.client)
	if w.node != nil {
		reset(w.node)
	}
}

// gate waits while the relay hangs, and reports whether the wire goes on.
func (w *wire) gate() bool {
	for waited := false; ; waited = true {
		w.relay.mu.Lock()
		thaw, aborted := w.relay.thaw, w.aborted
		w.relay.mu.Unlock()
		if aborted {
			return false
		}
		if thaw == nil || w.link {
			return !waited || !w.abandoned()
		}
		select {
		case <-thaw:
		case <-w.done:
			return false
		}
	}
}

// abandoned reports whether the client has closed its side, be there unread
// bytes before that or not.
func (w *wire) abandoned() bool {
	raw, err := w.client.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err != nil || info.State >= tcpClose
	})
	return gone || err != nil
}

// requests copies from the client to the node.
func (w *wire) requests() {
	asks := false // it began with a CLUSTER command
	first := true
	w.copy(w.client, w.node, func(chunk []byte) (rest []byte, goOn bool) {
		if first {
			asks, first = isCluster(chunk), false
		}
		if !asks {
			return chunk, true
		}
		answer, ok := w.mangled(chunk)
		if !ok {
			return chunk, true
		}
		if len(answer.Reply) > 0 {
			_, err := w.client.Write(answer.Reply)
			ok = err == nil
		}
		return nil, ok && !answer.Close
	})
}

// mangled returns what the relay answers itself, if it does.
func (w *wire) mangled(request []byte) (Answer, bool) {
	w.relay.mu.Lock()
	f := w.relay.mangle
	w.relay.mu.Unlock()
	if f == nil || w.link || !isCluster(request) {
		return Answer{}, false
	}
	return f(request)
}

// isCluster reports whether a request is a CLUSTER command.
func isCluster(request []byte) bool {
	_, rest, _ := bytes.Cut(request, []byte("\r\n"))
	const name = "$7\r\nCLUSTER\r\n"
	return len(rest) >= len(name) && bytes.EqualFold(rest[:len(name)], []byte(name))
}

// replies copies from the node to the client.
func (w *wire) replies() {
	w.copy(w.node, w.client, func(chunk []byte) (rest []byte, goOn bool) {
		w.hold()
		if bits := w.cut.Swap(0); bits != 0 && !w.link {
			_, _ = w.client.Write(chunk[:cutAt(chunk, bits)]) // What follows is a reset anyway.
			return nil, false
		}
		return chunk, true
	})
}

// cutAt returns the length of the piece of a chunk that is let through: less
// than all, and not up to the end of a line, where a reply might be complete.
func cutAt(chunk []byte, bits uint64) int {
	n := int(bits >> 1 % uint64(len(chunk)))
	if n > 0 && chunk[n-1] == '\n' {
		n--
	}
	return n
}

// hold lets the relay's delay go by.
func (w *wire) hold() {
	w.relay.mu.Lock()
	d := w.relay.delay
	w.relay.mu.Unlock()
	if d == 0 || w.link {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.done:
	}
}

// copy forwards what each makes of the chunks, until the source ends: then the
// destination gets a FIN, and the other direction goes on. Any error resets the
// whole wire, and so does each.
func (w *wire) copy(from, to *net.TCPConn, each func(chunk []byte) (rest []byte, goOn bool)) {
	buf := make([]byte, wireBuffer)
	for {
		n, err := from.Read(buf)
		if !w.gate() {
			w.abort()
			return
		}
		if n == 0 && errors.Is(err, io.EOF) {
			_ = to.CloseWrite() // Fails when that side has ended too.
			return
		}
		if n == 0 {
			w.abort()
			return
		}
		rest, goOn := each(buf[:n])
		if goOn && len(rest) > 0 {
			_, err = to.Write(rest)
			goOn = err == nil
		}
		if !goOn {
			w.abort()
			return
		}
	}
}
