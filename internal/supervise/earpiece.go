package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// maxLine bounds a line of the pipe, in bytes. Ours have 18 at most.
const maxLine = 64

// earpiece is the read end of the pipe. The loop reads from it; its own goroutine only waits
// for something to be there, so that the loop can read all that was said before it looks at
// who died.
type earpiece struct {
	// immutable
	file *os.File
	conn syscall.RawConn
	said chan struct{} // there may be something to read
	wg   sync.WaitGroup

	// owned by the loop
	rest   []byte // half a line
	silent bool   // nobody has the write end any more
}

// listen begins to wait for announcements.
func (s *supervisor) listen(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("pipe: %w", err)
	}
	s.pipe = &earpiece{file: file, conn: conn, said: make(chan struct{}, 1)}
	s.pipe.wg.Go(s.pipe.wait)
	return nil
}

// wait tells the loop each time that something has come. It ends with close: to the poller a
// callback that returns false has found nothing, and is called again with the next event.
func (e *earpiece) wait() {
	_ = e.conn.Read(func(uintptr) bool {
		select {
		case e.said <- struct{}{}:
		default:
		}
		return false
	})
}

func (e *earpiece) close() {
	_ = e.file.Close()
	e.wg.Wait()
}

// read returns the pids of all announcements that are there, in their order.
func (e *earpiece) read(log *slog.Logger) (pids []int) {
	var chunk [512]byte
	for !e.silent {
		n, err := e.readOnce(chunk[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return pids // EAGAIN: no more for now
		case n == 0:
			e.silent = true
		}
		e.rest = append(e.rest, chunk[:n]...)
		for {
			text, rest, whole := bytes.Cut(e.rest, []byte{'\n'})
			if !whole {
				break
			}
			e.rest = rest
			pid, err := parseLine(string(text))
			if err != nil {
				log.Warn("not understood on the supervisor's pipe", "error", err)
				continue
			}
			pids = append(pids, pid)
		}
		if len(e.rest) > maxLine {
			e.rest = nil // what follows it is not understood, and says so
		}
	}
	return pids
}

func (e *earpiece) readOnce(b []byte) (n int, err error) {
	ctlErr := e.conn.Control(func(fd uintptr) { n, err = syscall.Read(int(fd), b) })
	return n, errors.Join(ctlErr, err)
}

// parseLine returns the pid of "main PID".
func parseLine(text string) (int, error) {
	digits, ok := strings.CutPrefix(text, "main ")
	if !ok {
		return 0, fmt.Errorf("%q is not main PID", text)
	}
	pid, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("main: %w", err)
	}
	if pid <= 1 {
		return 0, fmt.Errorf("main: %d is nobody who serves", pid)
	}
	return int(pid), nil
}
