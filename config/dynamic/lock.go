package dynamic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// errShared is the reason not to write: the file would have the state of whoever
// wrote last.
var errShared = errors.New("another samaritan keeps its state there: give each a -data of its own")

// claim makes the directory ours, if it is not yet. The lock is one on the directory
// itself, so it leaves nothing behind, and ends with the process however that ends. A
// file system that has no locks is used without.
//
// A directory that has been removed is made again, if we can. It is another one, which has to
// be locked anew.
func (k *keeper) claim() error {
	if k.makeDir != nil {
		if err := k.makeDir(); err != nil {
			return fmt.Errorf("write state: %w", err)
		}
	}
	dir := filepath.Dir(k.path)
	if k.lock != nil && isAt(k.lock, dir) {
		return nil
	}
	k.unlock()
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		_ = d.Close()
		return fmt.Errorf("write state: %s: %w", dir, errShared)
	}
	k.lock = d
	return nil
}

// isAt tells whether an open file or directory is the one at the path.
func isAt(f *os.File, path string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(have, there)
}

func (k *keeper) unlock() {
	if k.lock != nil {
		_ = k.lock.Close()
		k.lock = nil
	}
}
