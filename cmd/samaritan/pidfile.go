package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// makeDataDir makes the directory for run-time files, for the owner alone. One
// that is there already is used as it is when the user named it; at the default
// place, which may be open to others, it has to be a directory of ours.
func makeDataDir(dir string, named bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if named {
		return nil
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s is not a directory of this user", dir)
	}
	return nil
}

// pidFile is the file that tells scripts our pid. It has one line. With an empty path
// there is none.
type pidFile struct{ path string }

// errLiving says that the pid file is that of another samaritan.
var errLiving = errors.New("the pid file belongs to a living process")

// write puts our pid there, all at once. The file of a process that is gone is
// replaced, and that of before, which this one takes over from; that of another living
// samaritan is left alone, with errLiving. Of several that replace a file at a time all but
// one get that.
func (f pidFile) write(before int) error {
	if f.path == "" {
		return nil
	}
	defer f.lock()()
	if pid := f.read(); pid != os.Getpid() && pid != before && isSamaritan(pid) {
		return fmt.Errorf("%s: %w (%d)", f.path, errLiving, pid)
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+"-")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(tmp, "%d\n", os.Getpid())
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// lock keeps others from replacing the file that is there, if one is, until unlock. It does
// not wait for more than a second: the lock is for processes that come at the same moment.
func (f pidFile) lock() (unlock func()) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		file, err := os.Open(f.path)
		if err != nil {
			break
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && f.is(file) {
			return func() { _ = file.Close() }
		}
		_ = file.Close()
	}
	return func() {}
}

// is tells whether this is the file at the path, which has not been replaced since.
func (f pidFile) is(file *os.File) bool {
	have, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(f.path)
	return err == nil && os.SameFile(have, there)
}

// remove deletes the file if it still has our pid.
func (f pidFile) remove() error {
	if f.read() != os.Getpid() {
		return nil
	}
	return os.Remove(f.path)
}

// read returns the pid in the file, 0 when there is none.
func (f pidFile) read() int {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// isSamaritan tells whether the process lives and has the name that we have. One that has
// ended and was not waited for does not live.
func isSamaritan(pid int) bool {
	if pid <= 0 || isZombie(pid) {
		return false
	}
	theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return false
	}
	ours, err := os.ReadFile("/proc/self/comm")
	return err == nil && bytes.Equal(theirs, ours)
}

// isZombie tells whether a process has ended and was not waited for yet.
func isZombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" ")) // behind the name
	return ok && len(rest) > 0 && (rest[0] == 'Z' || rest[0] == 'X')
}
