package filewatch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configMap lays the directory out as the kubelet does: the file is a link to
// ..data/c.yaml, and ..data one to a directory with a time stamp.
func configMap(r *rig) (swap func(text string)) {
	require.NoError(r.t, os.Remove(r.file))
	require.NoError(r.t, os.Symlink(filepath.Join("..data", "c.yaml"), r.file))
	n, last := 0, ""
	return func(text string) {
		r.t.Helper()
		n++
		name := fmt.Sprintf("..2026_11_23_%d", n)
		require.NoError(r.t, os.Mkdir(filepath.Join(r.dir, name), 0o700))
		require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name, "c.yaml"), []byte(text), 0o600))
		require.NoError(r.t, os.Symlink(name, filepath.Join(r.dir, "..data_tmp")))
		require.NoError(r.t, os.Rename(filepath.Join(r.dir, "..data_tmp"), filepath.Join(r.dir, "..data")))
		if last != "" {
			require.NoError(r.t, os.RemoveAll(filepath.Join(r.dir, last)))
		}
		last = name
	}
}

func TestConfigMapsOfKubernetesAreFollowed(t *testing.T) {
	r := newRig(t)
	swap := configMap(r)
	swap("one")
	r.start(onEvents())
	for i := range 4 {
		swap(fmt.Sprint("text ", i))
		r.changed()
		r.unchanged()
	}
	swap("text 3")
	r.unchanged()
	assert.Empty(t, r.log.String())
}

func TestLinksAnywhereOnTheWayAreFollowed(t *testing.T) {
	r := newRig(t)
	root := filepath.Dir(r.dir)
	for _, name := range []string{"v1", "v2", "v3"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "versions", name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, "versions", name, "c.yaml"), []byte(name), 0o600))
	}
	current := filepath.Join(root, "versions", "current")
	point := func(name string) {
		require.NoError(t, os.Symlink(name, current+".tmp"))
		require.NoError(t, os.Rename(current+".tmp", current))
	}
	point("v1")
	require.NoError(t, os.Remove(r.file))
	require.NoError(t, os.Symlink("../versions/./current/../current/c.yaml", r.file))
	r.start(onEvents())
	point("v2")
	r.changed()
	require.NoError(t, os.WriteFile(filepath.Join(root, "versions", "v2", "c.yaml"), []byte("x"), 0o600))
	r.changed()
	point("v3")
	r.changed()
	require.NoError(t, os.Remove(current))
	r.logged("cannot be read")
	point("v1")
	r.changed()
}

func TestDirectoryThatVanishesIsWaitedFor(t *testing.T) {
	for name, o := range map[string]Options{"by events": onEvents(), "by polling": onPolls()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.start(o)
			for i := range 3 {
				require.NoError(t, os.RemoveAll(r.dir))
				r.logged("cannot be read")
				require.NoError(t, os.Mkdir(r.dir, 0o700))
				r.write(fmt.Sprint("again ", i))
				r.changed()
				r.write(fmt.Sprint("and again ", i))
				r.changed()
			}
		})
	}
}

func TestDirectoryThatIsReplacedIsFollowed(t *testing.T) {
	r := newRig(t)
	r.start(onEvents())
	for i := range 3 {
		old := fmt.Sprint(r.dir, ".", i)
		require.NoError(t, os.Rename(r.dir, old))
		require.NoError(t, os.Mkdir(r.dir, 0o700))
		r.write(fmt.Sprint("new ", i))
		r.changed()
		require.NoError(t, os.WriteFile(filepath.Join(old, "c.yaml"), []byte("of no matter"), 0o600))
		r.unchanged()
		r.write(fmt.Sprint("newer ", i))
		r.changed()
	}
}

// Nothing tells of this: the directory of the file stays what it is, elsewhere.
func TestParentThatIsMovedAwayIsNoticedByPolling(t *testing.T) {
	r := newRig(t)
	r.start(onPolls())
	root := filepath.Dir(r.dir)
	require.NoError(t, os.Rename(root, root+".away"))
	r.logged("cannot be read")
	require.NoError(t, os.Rename(root+".away", root))
	r.logged("is back")
	r.write("two")
	r.changed()
}

func TestLinksInACircleAreAnErrorAndNoMore(t *testing.T) {
	r := newRig(t)
	r.start(onPolls())
	require.NoError(t, os.Remove(r.file))
	require.NoError(t, os.Symlink("c.yaml", r.file))
	r.logged("too many levels of symbolic links")
	require.NoError(t, os.Remove(r.file))
	r.write("two")
	r.changed()
}

// A network file system sends no events for what others do.
func TestChangesWithoutEventsAreFoundByPolling(t *testing.T) {
	r := newRig(t)
	o := onPolls()
	r.start(o)
	r.write("two")
	r.changed()

	// Nothing is watched here, as it is when the kernel has no watch left.
	deaf := newRig(t)
	deaf.Watcher = New(Options{Path: deaf.file, Quiet: o.Quiet, Most: o.Most, Poll: o.Poll, Changed: func() { deaf.changes <- struct{}{} }})
	deaf.path = deaf.file
	deaf.settle = newStopped()
	deaf.arm()
	deaf.disarm()
	deaf.polled()
	assert.False(t, deaf.first.IsZero(), "a difference is waited out before it is told")
	deaf.look()
	deaf.changed()
	deaf.disarm()
}
