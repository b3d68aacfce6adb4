package dynamic

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"samaritan/config"
)

// stateName is the name of the state file in the data directory.
const stateName = "dynamic.json"

// keeper writes the state file. Its goroutine writes the last state that it was
// given; what came between two writes is never written.
type keeper struct {
	// immutable
	path  string
	log   *slog.Logger
	every time.Duration // the least time between two writes
	again time.Duration // from a write that failed to the next try
	yield time.Duration // the same while a predecessor may have the lock
	leave time.Duration // how long that may be, from the beginning of run on
	wake  chan struct{}
	ended chan struct{} // write what there is, and end

	makeDir func() error // makes the directory if it is not there; nil: somebody else does

	// owned by run
	lock   *os.File  // of the directory, once it is ours
	leaves time.Time // a predecessor has left by then

	mu     sync.Mutex // guards the following
	next   *state
	status keeperStatus
}

type keeperStatus struct {
	writes, failures uint64
	last             time.Time // of the last write
	err              string    // of the last try, "" when it went well
}

func newKeeper(dir string, log *slog.Logger) *keeper {
	t := defaultTiming()
	return &keeper{
		path: filepath.Join(dir, stateName), log: log, every: t.save, again: t.saveAgain, yield: t.saveYield,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// put gives a state to be written. It does not wait.
func (k *keeper) put(s *state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.putLocked(s)
}

// putBack gives a state that could not be written once more, unless there is a newer one.
func (k *keeper) putBack(s *state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == nil {
		k.putLocked(s)
	}
}

func (k *keeper) putLocked(s *state) {
	k.next = s
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) take() *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.next
	k.next = nil
	return s
}

func (k *keeper) snapshot() keeperStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// close makes run write what is left and return.
func (k *keeper) close() { close(k.ended) }

// run is the goroutine of the keeper. A huge state is written more seldom, so that it
// takes a tenth of the time.
func (k *keeper) run() {
	defer k.unlock()
	k.leaves = time.Now().Add(k.leave)
	for {
		select {
		case <-k.wake:
		case <-k.ended:
			k.write(k.take())
			return
		}
		began := time.Now()
		pause := k.write(k.take())
		select {
		case <-time.After(max(pause, 9*time.Since(began))):
		case <-k.ended:
		}
	}
}

// write returns how long to wait before the next time. A state that cannot be written now
// is kept for that.
func (k *keeper) write(s *state) (pause time.Duration) {
	if s == nil {
		return k.every
	}
	err := k.replace(s)
	if err == nil {
		k.note(nil)
		return k.every
	}
	k.putBack(s)
	if errors.Is(err, errShared) && time.Now().Before(k.leaves) {
		return k.yield
	}
	k.note(err)
	return k.again
}

func (k *keeper) replace(s *state) error {
	if err := k.claim(); err != nil {
		return err
	}
	text, err := s.encode()
	if err != nil {
		return err
	}
	return replaceFile(k.path, text)
}

// note counts, and logs when it went otherwise than the last time.
func (k *keeper) note(err error) {
	k.mu.Lock()
	before := k.status.err
	k.status.err = ""
	if err == nil {
		k.status.writes++
		k.status.last = time.Now()
	} else {
		k.status.failures++
		k.status.err = shorten(err.Error(), maxText)
	}
	k.mu.Unlock()
	switch {
	case err != nil && before == "":
		k.log.Error("the last known state cannot be written, trying again; a restart would begin with an older one", "error", err)
	case err == nil && before != "":
		k.log.Info("the last known state can be written again", "file", k.path)
	}
}

// replaceFile writes a file so that there is the old one or the new one, whole,
// whenever the machine stops. The name of the temporary file is that of the
// process, as two of them share the directory during a restart.
func replaceFile(path string, text []byte) (err error) {
	name := path + ".tmp-" + strconv.Itoa(os.Getpid())
	defer func() {
		if err != nil {
			os.Remove(name)
		}
	}()
	if err := writeSynced(name, text); err != nil {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// removeLeftovers removes what a process left that ended in the middle of a write. A
// young one may be in use.
func removeLeftovers(path string) {
	names, _ := filepath.Glob(path + ".tmp-*") // a bad pattern in the name of the directory: then they stay
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(name)
		}
	}
}

// readState reads the file. No file is no state and no error.
func readState(path string) (*state, error) {
	text, err := config.ReadRegular(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return decodeState(text)
}
