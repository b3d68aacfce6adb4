package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// line is the daemon's end of the pipe to its supervisor; nil without one. The environment
// belongs to the whole process, and so does this.
var line = sync.OnceValues(openLine)

// openLine takes the descriptor that the environment names, and keeps it from programs that
// are started.
func openLine() (*os.File, error) {
	text := os.Getenv(pipeEnv)
	if text == "" || os.Getenv(supervisedEnv) == "" {
		return nil, nil
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pipeEnv, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("%s: descriptor %d: %w", pipeEnv, fd, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil, fmt.Errorf("%s: descriptor %d is not a pipe", pipeEnv, fd)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil { // for the poller, see Lost
		return nil, fmt.Errorf("%s: descriptor %d: %w", pipeEnv, fd, err)
	}
	return os.NewFile(uintptr(fd), "supervisor"), nil
}

// Announce tells the supervisor that a process serves from now on: it gets the signals, and
// its end is the end. The first daemon announces itself once it catches signals; until then
// it gets no HUP, USR1 and USR2. After that each successor is announced, by itself or
// by its predecessor, and the predecessor announces itself when it takes over again. Without
// a supervisor it does nothing.
func Announce(pid int) error {
	f, err := line()
	if f == nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "main %d\n", pid); err != nil { // one write, and so never mixed with another's
		return fmt.Errorf("announce to the supervisor: %w", err)
	}
	return nil
}

// Pass gives the pipe to a successor that is about to be started, as one more of its
// ExtraFiles, and tells it the number. Its Env is made from that of this process when it
// is nil. Files that are added after it keep their numbers. Without a supervisor it does nothing.
func Pass(cmd *exec.Cmd) error {
	f, err := line()
	if f == nil {
		return err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	number := strconv.Itoa(2 + len(cmd.ExtraFiles))
	cmd.Env = setEnv(cmd.Environ(), supervisedEnv+"=1", pipeEnv+"="+number)
	return nil
}

// Lost waits until the supervisor is gone, and returns nil then: whoever started it may start
// another one, so this daemon had better end. It returns the error of ctx when that ends
// first, also where there is no supervisor. It is for one caller at a time.
func Lost(ctx context.Context) error {
	f, err := line()
	if err != nil {
		return err
	}
	if f == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for the end of the supervisor: %w", err)
	}
	_ = f.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	err = conn.Read(deaf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// deaf tells whether nobody has the read end of a pipe any more.
func deaf(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}
