package hotrestart

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketPrefix = "hotrestart-"
	socketSuffix = ".sock"

	// staleAfter is how old a socket is that nobody listens on, to be cleared away: a
	// younger one may be about to be listened on.
	staleAfter = time.Minute
)

// rendezvous is the socket that the child comes to.
type rendezvous struct {
	*net.UnixListener
	path string
}

// listen makes the socket in the directory, for nobody but this user. Its name has the
// pid in it for people, and is a new one each time: processes that share a directory
// can have the same pid, in containers.
func listen(dir string) (*rendezvous, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	clearStale(dir)
	path := filepath.Join(dir, socketPrefix+strconv.Itoa(os.Getpid())+"-"+rand.Text()[:8]+socketSuffix)
	reach, done, err := reachable(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", reach)
	if err != nil {
		return nil, err
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false) // it may know a path that does not stay
	return &rendezvous{ul, path}, nil
}

// private gives the file that bind makes its mode: Linux takes over that of the socket.
func private(_, _ string, c syscall.RawConn) error {
	var err error
	if ctl := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); ctl != nil {
		return ctl
	}
	return err
}

func (r *rendezvous) close() {
	_ = r.Close()
	_ = os.Remove(r.path)
}

// meet waits for the process with the pid, of this user. Others are turned away.
func (r *rendezvous) meet(pid int, turnedAway func(error)) (*net.UnixConn, error) {
	for {
		conn, err := r.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn, pid); err != nil {
			_ = conn.Close()
			turnedAway(err)
			continue
		}
		return conn, nil
	}
}

// checkPeer tells whether the process with the pid is at the other end.
func checkPeer(conn *net.UnixConn, pid int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var opt error
	if err := raw.Control(func(fd uintptr) {
		peer, opt = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	switch {
	case opt != nil:
		return fmt.Errorf("credentials of the peer: %w", opt)
	case int(peer.Uid) != os.Geteuid():
		return fmt.Errorf("the peer is of user %d, not %d", peer.Uid, os.Geteuid())
	case int(peer.Pid) != pid:
		return fmt.Errorf("the peer is process %d, not %d", peer.Pid, pid)
	}
	return nil
}

// dial connects to the socket at path.
func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	reach, done, err := reachable(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", reach)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// reachable returns the path, or another one to the same file that fits into the
// address of a socket. That one leads through the open directory, until done.
func reachable(path string) (reach string, done func(), err error) {
	if len(path) < len(unix.RawSockaddrUnix{}.Path) {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	raw, err := dir.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			reach = fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path))
		})
	}
	if err != nil {
		_ = dir.Close()
		return "", nil, err
	}
	return reach, func() { _ = dir.Close() }, nil
}

// clearStale removes the sockets that processes have left which were killed. Whatever
// goes wrong with it does not matter.
func clearStale(dir string) {
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(dir), socketPrefix+"*"+socketSuffix))
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != os.ModeSocket || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		conn, err := dial(context.Background(), path)
		if err == nil {
			_ = conn.Close()
		} else if errors.Is(err, unix.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
}

// escapeGlob has a path stand for itself in a pattern.
func escapeGlob(path string) string {
	b := make([]byte, 0, len(path))
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}
