package directory

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/examples/discovery/server"
)

func TestFilesAreFollowed(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	w := watch(t, string(dir), never)
	w.until("a=1")
	dir.write(t, "services/a.yaml", service(2))
	w.until("a=2")
	dir.rename(t, "services/a.yaml", service(3))
	w.until("a=3")
	dir.rename(t, "services/b.json", `{"config": {"listener": {"address": {"ip": "::1", "port": 9}}, "protocol": "Redis"},
		"endpoints": [{"address": {"ip": "::1", "port": 1}}]}`)
	w.until("a=3 b=9")
	require.NoError(t, os.Rename(dir.path("services/a.yaml"), dir.path("services/c.yml")))
	w.until("b=9 c=3")
	require.NoError(t, os.Remove(dir.path("services/b.json")))
	w.until("c=3")

	dir.rename(t, dependenciesFile, "demo: [c]\n")
	assert.Eventually(t, func() bool { return slices.Equal(w.dependencies("demo"), []string{"c"}) }, patience, pollTime)
}

func TestOnlyServiceFilesAreLookedAt(t *testing.T) {
	dir := newTree(t)
	for _, name := range []string{".a.yaml", "a.yaml~", "a.yaml.swp", "README", "#b.yaml#", "4913"} {
		dir.write(t, "services/"+name, "nonsense: [")
	}
	require.NoError(t, os.Mkdir(dir.path("services/d.yaml"), 0o755))
	dir.write(t, "services/good.yaml", service(1))
	got, err := Load(string(dir))
	require.NoError(t, err)
	assert.Len(t, got.Services, 1)
}

func TestInvalidFileKeepsItsLastGoodContent(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	dir.write(t, "services/b.yaml", service(2))
	dir.write(t, "services/c.yaml", "config: [\n")
	w := watch(t, string(dir), 5*time.Millisecond)
	w.until("a=1 b=2 c=0")

	dir.write(t, "services/a.yaml", service(99999))
	dir.write(t, "services/b.yaml", service(3))
	w.until("a=1 b=3 c=0")
	w.untilLogged("a.yaml:3: config.listener.address.port: must be 0..65535")
	dir.write(t, dependenciesFile, "demo: *")
	w.untilLogged("needs its quotes")
	assert.Equal(t, []string{server.All}, w.dependencies("demo"))

	dir.write(t, "services/c.yaml", service(4))
	w.until("a=1 b=3 c=4")
	dir.write(t, "services/a.yaml", "")
	w.untilLogged("a.yaml: is empty")
	dir.write(t, "services/a.yaml", service(5))
	w.until("a=5 b=3 c=4")
	assert.Equal(t, 2, w.log.count("port: must be"), "once when it comes and once when it is gone:\n%s", w.log)
	assert.Equal(t, 1, w.log.count(`level=INFO msg="problem is gone" problem="`+dir.path("services/a.yaml")+`:3:`))
}

// A file that was never good is a service of which nothing more is known: to say that
// there is none would end it where it runs.
func TestServiceWhoseFileWasNeverGoodIsNotGone(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/bad.yaml", "config: [\n")
	dir.write(t, "services/twice.json", "{")
	dir.write(t, "services/twice.yaml", service(1))
	dir.write(t, "services/\xff.yaml", "config: [\n")
	got, err := Load(string(dir))
	require.Error(t, err)
	assert.Equal(t, server.Service{}, got.Services["bad"])
	assert.NotNil(t, got.Services["twice"].Config)
	assert.Len(t, got.Services, 2, "a name that no message can have is none")
}

func TestNothingIsAppliedBeforeTheDependenciesAreGood(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	dir.write(t, dependenciesFile, "demo: *\n")
	w := New(Options{Dir: string(dir), Apply: func(server.Snapshot) { assert.Fail(t, "applied") }})
	require.ErrorContains(t, w.Read(), dependenciesFile+": did not find")

	follower := watch(t, string(dir), never)
	follower.untilLogged("needs its quotes")
	assert.Zero(t, follower.applies())
	dir.write(t, dependenciesFile, "demo: '*'\n")
	follower.until("a=1")
	assert.Equal(t, []string{server.All}, follower.dependencies("demo"))
}

func TestFileThatCannotBeReadKeepsItsLastGoodContent(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	w := watch(t, string(dir), never)
	w.until("a=1")
	require.NoError(t, os.Remove(dir.path("services/a.yaml")))
	require.NoError(t, os.Symlink("..", dir.path("services/a.yaml")))
	w.untilLogged("a.yaml: is not a file")
	assert.Equal(t, "a=1", w.ports())
	require.NoError(t, os.Remove(dir.path("services/a.yaml")))
	dir.write(t, "services/a.yaml", service(1))
	w.untilLogged("problem is gone")
	assert.Equal(t, "a=1", w.ports())
}

func TestDirectoryThatIsAwayChangesNothing(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	w := watch(t, string(dir), never)
	w.until("a=1")
	require.NoError(t, os.Rename(dir.path("services"), dir.path("elsewhere")))
	w.untilLogged("the directory cannot be read, everything stays as it is")
	require.NoError(t, os.Remove(dir.path(dependenciesFile)))
	require.NoError(t, os.Rename(dir.path("elsewhere"), dir.path("services")))
	w.untilLogged("read " + dir.path(dependenciesFile))
	assert.Equal(t, "a=1", w.ports())
	assert.Equal(t, 1, w.applies())
	dir.write(t, "services/a.yaml", service(2))
	dir.write(t, dependenciesFile, "demo: [a]\n")
	w.untilLogged("the directory can be read again")
	w.until("a=2")
	dir.write(t, "services/a.yaml", service(3))
	w.until("a=3")
}

func TestDirectoryOfServicesThatIsMadeAnewIsFollowed(t *testing.T) {
	dir := newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	w := watch(t, string(dir), never)
	w.until("a=1")
	next := newTree(t)
	next.write(t, "services/b.yaml", service(2))
	require.NoError(t, os.RemoveAll(dir.path("services")))
	require.NoError(t, os.Rename(next.path("services"), dir.path("services")))
	w.until("b=2")
	dir.write(t, "services/b.yaml", service(3))
	w.until("b=3")
}

// A ConfigMap volume has its files behind two links, the inner of which is swapped.
func TestSwappedLinksAreFollowed(t *testing.T) {
	volume := t.TempDir()
	release := func(name string, port int) {
		root := filepath.Join(volume, name)
		require.NoError(t, os.MkdirAll(filepath.Join(root, servicesDir), 0o755))
		tree(root).write(t, dependenciesFile, "demo: '*'\n")
		tree(root).write(t, "services/a.yaml", service(port))
		require.NoError(t, os.Symlink(name, filepath.Join(volume, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
	}
	release("..v1", 1)
	for _, name := range []string{dependenciesFile, servicesDir} {
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)))
	}
	w := watch(t, volume, never)
	w.until("a=1")
	release("..v2", 2)
	require.NoError(t, os.RemoveAll(filepath.Join(volume, "..v1")))
	w.until("a=2")
	release("..v3", 3)
	w.until("a=3")
	tree(volume).write(t, "..v3/services/a.yaml", service(4))
	w.until("a=4")
}

func TestWhatHasNoEventsIsFoundByLooking(t *testing.T) {
	dir, other := newTree(t), newTree(t)
	dir.write(t, "services/a.yaml", service(1))
	other.write(t, "services/a.yaml", service(2))
	link := filepath.Join(t.TempDir(), "current")
	require.NoError(t, os.Symlink(string(dir), link))
	w := watch(t, link, 5*time.Millisecond)
	w.until("a=1")
	require.NoError(t, os.Symlink(string(other), link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	w.until("a=2")
	other.write(t, "services/a.yaml", service(3))
	w.until("a=3")
}

func TestManyChangesAreReadAtOnce(t *testing.T) {
	dir := newTree(t)
	w := watch(t, string(dir), never)
	require.Eventually(t, func() bool { return w.applies() == 1 }, patience, pollTime)
	for i := range 300 {
		dir.write(t, "services/a.yaml", service(i+1))
	}
	w.until("a=300")
	assert.Less(t, w.applies(), 50)
	before := w.applies()
	dir.write(t, "services/a.yaml", service(300))
	dir.write(t, "services/note.txt", "x")
	dir.write(t, "services/b.yaml", service(1))
	w.until("a=300 b=1")
	assert.LessOrEqual(t, w.applies()-before, 2, "the same bytes are not applied again")
}
