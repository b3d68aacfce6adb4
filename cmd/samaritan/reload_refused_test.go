package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestFileThatIsNotValidChangesNothing(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	clients := hammer(t, c.redis, 2)
	_, before := c.get("/config")
	events := c.number("controller.events_total")

	other := func(change func(*sheet)) string { return s.with(change).text() }
	add := func(e entry) string {
		e.nodes = cluster.Addrs()
		return other(func(s *sheet) { s.services[0].limit = 7; s.services = append(s.services, e) })
	}
	free := testredis.FreeAddress(t)
	tests := []struct {
		name, text string
		problems   []string // parts of them, in order
	}{
		{"not YAML", "a: [\n", []string{": did not find expected"}},
		{"a tab", "admin:\n\tbind: {}\n", []string{":2: found character that cannot start any token"}},
		{"empty", "", []string{": is empty"}},
		{"unknown field", other(func(s *sheet) { s.top = "nonsense: 1" }), []string{":2: nonsense: unknown field"}},
		{"two of them", other(func(s *sheet) { s.top = "nonsense: 1\nlog: {level: LOUD}" }), []string{":2: nonsense", ":3: log.level: "}},
		{"a port too large", other(func(s *sheet) { s.services[0].listen = "127.0.0.1:70000" }), []string{"listener.address.port: must be 0..65535"}},
		{"two services of one name", add(entry{name: "redis-test", listen: free}), []string{"static_services[1].name: is the name of another service too"}},
		{"two services at one address", add(entry{name: "b", listen: c.redis}), []string{"static_services[1].config.listener.address: is taken already by static_services[0]"}},
		{"a service at the address of admin", add(entry{name: "b", listen: c.admin}), []string{"is taken already by admin.bind"}},
		{"an endpoint missing", other(func(s *sheet) { s.services[0].nodes = nil }), []string{"static_services[0].endpoints: must have at least one"}},
		{"a bad source", other(func(s *sheet) { s.top = "dynamic_source_config: {endpoint: x}" }), []string{"dynamic_source_config.endpoint"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := c.refuse(tt.text, 422)
			assert.Equal(t, "the config file is not valid", got.Error)
			require.Len(t, got.Problems, len(tt.problems))
			for i, p := range tt.problems {
				assert.True(t, strings.HasPrefix(got.Problems[i], c.file()), got.Problems[i])
				assert.Contains(t, got.Problems[i], p)
				c.awaitLog(p)
			}
			assert.EqualValues(t, i+1, c.number("config.reload_failure_total"))
			assert.Zero(t, c.number("config.last_reload_success"))
		})
	}
	t.Run("no file", func(t *testing.T) {
		require.NoError(t, os.Remove(c.file()))
		status, body := c.post("/ops/reload")
		assert.Equal(t, 422, status)
		assert.Contains(t, body, "no such file or directory")
	})
	t.Run("a pipe that nobody writes to", func(t *testing.T) {
		require.NoError(t, syscall.Mkfifo(c.file(), 0o600))
		status, body := c.post("/ops/reload")
		assert.Equal(t, 422, status)
		assert.Contains(t, body, "is not a regular file")
		require.NoError(t, os.Remove(c.file()))
	})
	clients.more(200)
	_, after := c.get("/config")
	assert.Equal(t, before, after)
	assert.Equal(t, events, c.number("controller.events_total"))
	assert.Equal(t, "running", c.serviceStatus()["state"])
	c.awaitLog(`level=ERROR msg="config not reloaded, all stays as it is" cause=admin error="the config file is not valid"`)
	c.awaitLog(`level=ERROR msg="config problem" problem="` + c.file())

	c.reload(s)
	assert.EqualValues(t, 1, c.number("config.last_reload_success"))
	assert.EqualValues(t, 1, c.number("config.reload_success_total"))
	assert.EqualValues(t, len(tests)+3, c.number("config.reload_total"))
	assert.Positive(t, c.number("config.last_success_timestamp_sec"))
	c.awaitLog(`msg="config unchanged" cause=admin`)
}

// What cannot be made ready keeps everything else of the file from coming in force too.
func TestPreparationThatFailsChangesNothing(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/services", 200, `"state":"running"`)
	_, before := c.get("/config")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for name, change := range map[string]func(*sheet){
		"admin.bind: ": func(s *sheet) { s.admin = taken.Addr().String() },
		"log.output: ": func(s *sheet) {
			s.top = "log: {level: DEBUG, output: {type: SYSLOG, target: 'no-such-host.invalid:514'}}"
		},
		"log.output: syslog ": func(s *sheet) {
			s.admin = testredis.FreeAddress(t) // fine by itself
			s.top = "log: {output: {type: SYSLOG, target: 'no-such-host.invalid:514'}}"
		},
	} {
		got := c.refuse(s.with(func(s *sheet) {
			change(s)
			s.services[0].listen = testredis.FreeAddress(t)
			s.services = append(s.services, entry{name: "b", listen: testredis.FreeAddress(t), nodes: s.services[0].nodes})
		}).text(), 500)
		assert.Contains(t, got.Error, strings.TrimSpace(name))
		_, after := c.get("/config")
		assert.Equal(t, before, after)
		assert.Equal(t, c.redis, c.serviceStatus()["listen"])
	}
	assert.NotContains(t, c.out.String(), "level=DEBUG")
	assert.EqualValues(t, 1, c.number("controller.events_total"))
}

func TestOverridesOfTheCommandLineHold(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)}, flags("-id", "mine", "-service", "web"))
	c.await("/config", 200, `"instance":{"id":"mine","version":"","belong":"web"}`)
	s.top = "instance: {id: theirs, version: v2, belong: others}"
	assert.Equal(t, []string{"instance"}, c.reload(s).Settings)
	c.await("/config", 200, `"instance":{"id":"mine","version":"v2","belong":"web"}`)
}

func TestSignalsReload(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	s.services[0].limit = 12345
	c.write(s.text())
	c.signal(syscall.SIGUSR1)
	c.await("/config", 200, `"connection_limit":12345`)
	c.awaitLog(`msg="config reloaded" cause=SIGUSR1 added=[] removed=[] changed=[redis-test] endpoints=[]`)
}

func TestSignalsToReloadDoNotDisturbTheEnd(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	for i := range 20 {
		s.services[0].limit = i + 1
		c.write(s.text())
		c.signal(syscall.SIGUSR1)
	}
	c.signal(syscall.SIGTERM)
	for range 20 {
		_ = c.cmd.Process.Signal(syscall.SIGUSR1) // it may be over
	}
	assert.Equal(t, 0, c.exit())
	assert.NotContains(t, c.out.String(), "level=ERROR")
}

func TestManyReloadsAtOnceEndWithTheLastFile(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	answers := make(chan string, 20)
	for i := range cap(answers) {
		s.services[0].limit = i + 1
		c.write(s.text())
		go func() {
			status, body := c.post("/ops/reload")
			answers <- fmt.Sprint(status, body)
		}()
	}
	for range cap(answers) {
		assert.Contains(t, <-answers, `200{"msg":"OK"`)
	}
	c.await("/config", 200, `"connection_limit":20`)
	assert.LessOrEqual(t, c.number("config.reload_total"), 20.0)
	require.Empty(t, c.err.String())
}

func TestSinksAreIgnoredWithAWarningAlsoWhenTheyChange(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	s.top = "stats: {sinks: [{type: STATSD, endpoint: '127.0.0.1:8125'}]}"
	assert.Equal(t, []string{"stats.sinks"}, c.reload(s).Settings)
	c.awaitLog(`level=WARN msg="stats.sinks is ignored`)
	c.reload(s)
	assert.Equal(t, 1, strings.Count(c.out.String(), "stats.sinks is ignored"))
}

// Each file of the config package's collection of mistakes is refused, and leaves things alone.
func TestEveryKnownMistakeIsRefused(t *testing.T) {
	files, err := filepath.Glob("../../config/testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	c, _ := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotEmpty(t, c.refuse(string(text), 422).Problems, file)
	}
	assert.EqualValues(t, 1, c.number("controller.events_total"))
	assert.Equal(t, c.redis, c.serviceStatus()["listen"])
}
