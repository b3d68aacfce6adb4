package examples

import (
	"bytes"
	"debug/elf"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

const patience = 20 * time.Second

// afterDrain is how much longer than -drain an end may take: 5 s for services that do not end
// in time, 10 s for the rest.
const afterDrain = 15 * time.Second

var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "samaritan-examples-"); err != nil {
		panic("no directory for the binary")
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binDir)
		os.Exit(code)
	}))
}

// daemon is the path of the program, built as the Dockerfile does it.
var daemon = sync.OnceValues(func() (string, error) {
	line, err := buildLine()
	if err != nil {
		return "", err
	}
	path := filepath.Join(binDir, "samaritan")
	cmd := exec.Command("/bin/sh", "-euc", strings.Replace(line, " -o /out/samaritan ", " -o '"+path+"' ", 1))
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=v1.2.3", "COMMIT=c0ffee", "DATE=today")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return path, os.Chmod(binDir, 0o755)
})

func build(t *testing.T) string {
	t.Helper()
	path, err := daemon()
	require.NoError(t, err)
	return path
}

// flagsOf are the flags of the program.
func flagsOf(t *testing.T) []string {
	t.Helper()
	help, err := exec.Command(build(t), "-help").CombinedOutput()
	require.NoError(t, err, string(help))
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  -([a-z]+)`).FindAllSubmatch(help, -1) {
		names = append(names, string(m[1]))
	}
	require.Contains(t, names, "config")
	return names
}

// values are the flags of a command line and what they are set to. A flag that is followed by
// another one is a switch. The last one of a name counts, as with the program.
func values(t *testing.T, args []string) map[string]string {
	t.Helper()
	known, set := flagsOf(t), map[string]string{}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		require.True(t, isFlag, "%q in %q", args[i], args)
		assert.Contains(t, known, name)
		set[name] = ""
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			set[name] = args[i]
		}
	}
	return set
}

// drainOf is how long an end of the program may take with these flags.
func drainOf(t *testing.T, flags map[string]string) time.Duration {
	t.Helper()
	drain, err := time.ParseDuration(flags["drain"])
	require.NoError(t, err)
	return drain + afterDrain
}

// check runs -check on a config, as the user of the image where that can be done.
func check(t *testing.T, config []byte) {
	t.Helper()
	dir, err := os.MkdirTemp(binDir, "config-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "samaritan.yaml")
	require.NoError(t, os.WriteFile(path, config, 0o644))
	cmd := exec.Command(build(t), "-check", "-config", path)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestTheProgramIsStatic(t *testing.T) {
	file, err := elf.Open(build(t))
	require.NoError(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		assert.NotEqual(t, elf.PT_INTERP, p.Type, "there is no loader in the image")
	}
	out, err := exec.Command(build(t), "-version").CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), "samaritan v1.2.3 (commit c0ffee, built today")
}

// running is a daemon with a config of an example, at ports of its own.
func running(t *testing.T, config []byte) (admin string) {
	t.Helper()
	admin, redis := testredis.FreeAddress(t), testredis.FreeAddress(t)
	for port, ours := range map[string]string{"port: 12345}": admin, "port: 6379}": redis} {
		_, number, err := net.SplitHostPort(ours)
		require.NoError(t, err)
		require.Contains(t, string(config), port)
		config = bytes.Replace(config, []byte(port), []byte("port: "+number+"}"), 1)
	}
	path := filepath.Join(t.TempDir(), "samaritan.yaml")
	require.NoError(t, os.WriteFile(path, config, 0o600))
	cmd := exec.Command(build(t), "-config", path, "-data", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		assert.NoError(t, cmd.Wait())
	})
	return admin
}

// status asks until there is an answer.
func status(t *testing.T, url string) (code int) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		resp, err := client.Get(url)
		require.NoError(t, err)
		code = resp.StatusCode
		_ = resp.Body.Close()
	}, patience, 5*time.Millisecond)
	return code
}
