package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/admin"
	"samaritan/internal/testredis"
)

// sheet is what a config file says.
type sheet struct {
	admin    string // host:port
	top      string // further sections, as lines
	services []entry
}

// entry is a service of a sheet.
type entry struct {
	name   string
	listen string // host:port
	more   string // further fields of its config; "protocol: Redis" when empty
	limit  int
	nodes  []string
}

func (s sheet) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {bind: %s}\n%s\n", yamlAddress(s.admin), s.top)
	if len(s.services) > 0 {
		b.WriteString("static_services:\n")
	}
	for _, e := range s.services {
		more := e.more
		if more == "" {
			more = "protocol: Redis"
		}
		fmt.Fprintf(&b, "  - name: %s\n    config: {listener: {address: %s, connection_limit: %d}, %s}\n    endpoints:\n", e.name, yamlAddress(e.listen), e.limit, more)
		for _, n := range e.nodes {
			fmt.Fprintf(&b, "      - address: %s\n", yamlAddress(n))
		}
	}
	return b.String()
}

// with is a copy of the sheet with a change.
func (s sheet) with(change func(*sheet)) sheet {
	s.services = append([]entry{}, s.services...)
	change(&s)
	return s
}

// begin launches a daemon with one service in front of the nodes, and returns the sheet
// of its config file.
func beginWith(t *testing.T, nodes []string, change ...func(*child)) (*child, sheet) {
	t.Helper()
	var s sheet
	put := func(c *child) {
		s = sheet{admin: c.admin, services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}
		c.write(s.text())
	}
	c := launch(t, nodes, append([]func(*child){put}, change...)...)
	return c, s
}

// flags is a change for launch.
func flags(more ...string) func(*child) {
	return func(c *child) { c.cmd.Args = append(c.cmd.Args, more...) }
}

func (c *child) file() string { return c.cmd.Args[2] }

// write puts a text into the config file, all at once.
func (c *child) write(text string) {
	c.t.Helper()
	beside := c.file() + ".tmp"
	require.NoError(c.t, os.WriteFile(beside, []byte(text), 0o600))
	require.NoError(c.t, os.Rename(beside, c.file()))
}

// post asks the admin server for an operation; 0 is no answer at all.
func (c *child) post(path string) (status int, body string) {
	resp, err := c.client.Post("http://"+c.admin+path, "", nil)
	return answerOf(resp, err)
}

func answerOf(resp *http.Response, err error) (status int, body string) {
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// reload takes a sheet in force.
func (c *child) reload(s sheet) admin.Reloaded {
	c.t.Helper()
	c.write(s.text())
	status, body := c.post("/ops/reload")
	require.Equal(c.t, 200, status, body)
	var got struct {
		Msg string
		admin.Reloaded
	}
	require.NoError(c.t, json.Unmarshal([]byte(body), &got), body)
	require.Equal(c.t, "OK", got.Msg)
	return got.Reloaded
}

// refused is the answer to a file that is not taken.
type refused struct {
	Error    string
	Problems []string
}

// refuse writes a text that must not be taken, and returns what is said about it.
func (c *child) refuse(text string, want int) refused {
	c.t.Helper()
	c.write(text)
	status, body := c.post("/ops/reload")
	require.Equal(c.t, want, status, body)
	var got refused
	require.NoError(c.t, json.Unmarshal([]byte(body), &got), body)
	return got
}

// number is one of the statistics of the process, -1 when there is none.
func (c *child) number(name string) float64 {
	_, text := c.get("/stats?filter=" + name)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			var n float64
			_, err := fmt.Sscan(value, &n)
			require.NoError(c.t, err, line)
			return n
		}
	}
	return -1
}

// state is what /services says about one service, nothing when there is no answer.
func (c *child) state(name string) (listen, state string) {
	_, body := c.get("/services")
	var list []admin.ServiceStatus
	_ = json.Unmarshal([]byte(body), &list)
	for _, s := range list {
		if s.Name == name {
			return s.Listen, s.State
		}
	}
	return "", ""
}

// load is clients that write and read without a pause, each over one connection that has
// to live.
type load struct {
	t    *testing.T
	done atomic.Int64
	stop chan struct{}
	wg   sync.WaitGroup
}

// hammer begins with so many clients. Every reply has to be the right one.
func hammer(t *testing.T, address string, clients int) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{})}
	for i := range clients {
		conn, err := testredis.Dial(address)
		require.NoError(t, err)
		l.wg.Go(func() {
			defer conn.Close()
			assert.NoError(t, l.run(conn, fmt.Sprintf("hammer:%s:%d:", address, i)))
		})
	}
	t.Cleanup(l.end)
	l.more(clients)
	return l
}

func (l *load) run(conn *testredis.Conn, prefix string) error {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return nil
		default:
		}
		key, value := fmt.Sprint(prefix, n%100), strings.Repeat(fmt.Sprint("value ", n, " "), 20)
		if _, err := conn.Do("SET", key, value); err != nil {
			return fmt.Errorf("SET %s: %w", key, err)
		}
		got, err := conn.Do("GET", key)
		if err != nil || got != value {
			return fmt.Errorf("GET %s: %v, %w", key, got, err)
		}
		l.done.Add(1)
	}
}

// more waits until so many more rounds have been done.
func (l *load) more(n int) {
	l.t.Helper()
	want := l.done.Load() + int64(n)
	require.Eventually(l.t, func() bool { return l.done.Load() >= want }, patience, time.Millisecond)
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}
