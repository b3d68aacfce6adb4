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
func (k *keeper) claim() error {
	if k.lock != nil {
		return nil
	}
	dir := filepath.Dir(k.path)
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

func (k *keeper) unlock() {
	if k.lock != nil {
		_ = k.lock.Close()
		k.lock = nil
	}
}
