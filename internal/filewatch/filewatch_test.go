package filewatch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContentThatIsKnownIsNoChange(t *testing.T) {
	r := newRig(t)
	o := onEvents()
	var err error
	o.Known, err = SumOf(r.file)
	require.NoError(t, err)
	o.Path, o.Changed = r.file, func() { r.changes <- struct{}{} }
	ctx, cancel := context.WithTimeout(t.Context(), calm)
	defer cancel()
	require.NoError(t, New(o).Run(ctx))
	assert.Empty(t, r.changes)
}

func TestChangeBeforeTheBeginIsTold(t *testing.T) {
	r := newRig(t)
	known, err := SumOf(r.file)
	require.NoError(t, err)
	r.write("two")
	o := onEvents()
	o.Known = known
	r.start(o) // waits for it
}

func TestEveryWayToChangeAFile(t *testing.T) {
	for name, change := range map[string]func(r *rig, text string){
		"written in place":   (*rig).write,
		"saved by a rename":  (*rig).save,
		"deleted and made":   func(r *rig, text string) { require.NoError(t, os.Remove(r.file)); r.write(text) },
		"moved to and fro":   moveAside,
		"appended to":        func(r *rig, text string) { appendTo(r, text) },
		"linked from beside": linkBeside,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.start(onEvents())
			for i := range 3 {
				change(r, "text "+strconv.Itoa(i))
				r.changed()
				r.unchanged()
			}
		})
	}
}

// moveAside is what some editors do: the old file becomes a backup.
func moveAside(r *rig, text string) {
	require.NoError(r.t, os.Rename(r.file, r.file+"~"))
	r.write(text)
}

func appendTo(r *rig, text string) {
	f, err := os.OpenFile(r.file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(r.t, err)
	defer f.Close()
	_, err = f.WriteString(text)
	require.NoError(r.t, err)
}

// linkBeside lets the file be a link to another one each time.
func linkBeside(r *rig, text string) {
	other := filepath.Join(r.dir, text)
	require.NoError(r.t, os.WriteFile(other, []byte(text), 0o600))
	require.NoError(r.t, os.Symlink(other, r.file+".tmp"))
	require.NoError(r.t, os.Rename(r.file+".tmp", r.file))
}

func TestTouchingTheFileIsNoChange(t *testing.T) {
	r := newRig(t)
	r.start(onEvents())
	require.NoError(t, os.Chtimes(r.file, time.Now(), time.Now()))
	require.NoError(t, os.Chmod(r.file, 0o644))
	r.write("one")
	r.save("one")
	r.unchanged()
	r.write("two")
	r.changed()
}

func TestOtherFilesOfTheDirectoryDoNotMatter(t *testing.T) {
	r := newRig(t)
	o := onEvents()
	o.Most = time.Hour // so that a neighbour who is never quiet would put the look off for ever
	r.start(o)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_ = os.WriteFile(filepath.Join(r.dir, "other"), []byte(strconv.Itoa(i)), 0o600)
			}
		}
	}()
	r.write("two")
	r.changed()
	close(stop)
	<-ended
}

func TestManyWritesAreOneChange(t *testing.T) {
	r := newRig(t)
	o := onEvents()
	o.Quiet, o.Most = 300*time.Millisecond, patience
	r.start(o)
	for i := range 50 {
		r.write(strconv.Itoa(i))
	}
	r.changed()
	r.unchanged()
}

func TestFileThatIsWrittenAllTheTimeIsReadAllTheSame(t *testing.T) {
	r := newRig(t)
	o := onEvents()
	o.Quiet = time.Hour
	r.start(o)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_ = os.WriteFile(r.file, []byte(strconv.Itoa(i)), 0o600)
			}
		}
	}()
	r.changed()
	close(stop)
	<-ended
}

func TestFileThatIsGoneIsWaitedFor(t *testing.T) {
	r := newRig(t)
	r.start(onEvents())
	require.NoError(t, os.Remove(r.file))
	r.logged("the watched file cannot be read, waiting for it")
	r.unchanged()
	r.write("one")
	r.logged("the watched file is back")
	r.unchanged()
	r.write("two")
	r.changed()
}

func TestWhatIsNoFileIsNotReadAndHoldsNothingUp(t *testing.T) {
	r := newRig(t)
	r.start(onEvents())
	require.NoError(t, os.Remove(r.file))
	require.NoError(t, syscall.Mkfifo(r.file, 0o600))
	r.logged("is not a regular file")
	require.NoError(t, os.Remove(r.file))
	require.NoError(t, os.Mkdir(r.file, 0o700))
	r.unchanged()
	require.NoError(t, os.Remove(r.file))
	r.write("two")
	r.changed()
}

// A directory in which more happens than the kernel keeps is no reason to fill the log.
func TestLostEventsAreSaidOnceAndLookedAfter(t *testing.T) {
	r := newRig(t)
	w := New(Options{Path: r.file, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	w.settle = time.NewTimer(time.Hour)
	defer w.settle.Stop()
	for range 100 {
		w.first = time.Time{}
		w.lost(fsnotify.ErrEventOverflow, true)
		assert.False(t, w.first.IsZero(), "the file is read")
	}
	assert.Equal(t, 1, strings.Count(r.log.String(), "are lost"))
}

func TestRelativePath(t *testing.T) {
	r := newRig(t)
	t.Chdir(r.dir)
	file := r.file
	r.file = "c.yaml"
	r.start(onEvents())
	r.file = file
	r.write("two")
	r.changed()
}
