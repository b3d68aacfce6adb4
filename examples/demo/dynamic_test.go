package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
	"samaritan/examples/discovery/directory"
	"samaritan/examples/discovery/server"
)

func TestDynamicFilesAreValid(t *testing.T) {
	ports := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:7000"), netip.MustParseAddrPort("[::1]:7001")}
	v := values{Port: 6379, Admin: 12345, WebPort: 8080, Source: "127.0.0.1:9000", Nodes: ports, Web: ports}
	dir := t.TempDir()
	require.NoError(t, v.write(dynamicFiles, dir))
	sidecar, err := config.Load(filepath.Join(dir, "demo.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:9000", sidecar.Proto.GetDynamicSourceConfig().GetEndpoint())

	told, err := directory.Load(filepath.Join(dir, discoveryDir))
	require.NoError(t, err)
	assert.Equal(t, []string{server.All}, told.Dependencies[sidecar.Proto.GetInstance().GetBelong()])
	for _, name := range []string{"redis-demo", "web"} {
		require.Contains(t, told.Services, name)
		assert.Len(t, told.Services[name].Endpoints, 2)
	}
	check := told.Services["web"].Config.GetHealthCheck().GetAtcpChecker().GetAction()[0]
	assert.Equal(t, "GET /health HTTP/1.0\r\n\r\n", string(check.Send))
	assert.Equal(t, "HTTP/1.0 200", string(check.Expect))
}

// The guide is followed step by step, with the real daemon.
func TestDynamicDemoDoesWhatTheGuideSays(t *testing.T) {
	daemon, err := binary(t.Context(), "", t.TempDir())
	require.NoError(t, err)
	r := startDemo(t, "", options{nodes: inprocess, dynamic: true, samaritan: daemon})
	r.waitReady(t)
	guide := r.out.String()
	web := fmt.Sprintf("http://127.0.0.1:%d", r.web)
	admin := fmt.Sprintf("http://127.0.0.1:%d", r.admin)
	for _, text := range []string{"curl " + web, admin + "/endpoints?service=web", admin + "/dynamic", admin + "/services"} {
		assert.Contains(t, guide, text)
	}
	assert.Equal(t, "+PONG\r\n", ping(t, r.port))
	assert.Equal(t, 2, serversSeen(t, web))
	eventually(t, func() bool { return strings.Contains(get(t, admin+"/dynamic"), `"connected":true`) })

	sick := find(t, guide, `curl -X POST (http://127\.0\.0\.1:\d+)/sick`)
	post(t, sick+"/sick")
	eventually(t, func() bool { return strings.Contains(get(t, admin+"/endpoints?service=web"), `"healthy":false`) })
	assert.Equal(t, 1, serversSeen(t, web))
	post(t, sick+"/well")
	eventually(t, func() bool { return serversSeen(t, web) == 2 })

	before := r.pid()
	post(t, admin+"/ops/hotrestart")
	assert.NotEqual(t, before, r.pid(), "another process serves")
	assert.Equal(t, "+PONG\r\n", ping(t, r.port))
	assert.Equal(t, 2, serversSeen(t, web))

	file := find(t, guide, `(\S+/services/web\.yaml)`)
	edit(t, file, "state: UP # try DOWN", "state: DOWN")
	eventually(t, func() bool { return serversSeen(t, web) == 1 })
	require.NoError(t, os.Remove(file))
	eventually(t, func() bool { return !strings.Contains(get(t, admin+"/services"), `"name":"web"`) })
	assert.Equal(t, "+PONG\r\n", ping(t, r.port), "the other one goes on")
	r.cancel()
	assert.NoError(t, r.end(t))
}

func TestDynamicDemoThatDoesNotStartLeavesNothing(t *testing.T) {
	r := startDemo(t, "exits", options{nodes: inprocess, dynamic: true})
	assert.EqualError(t, r.end(t), "the daemon ended: exit status 3")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := startSource(file, &values{})
	assert.ErrorContains(t, err, "not a directory")
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, patience, 20*time.Millisecond)
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, "%s in %s", pattern, text)
	return m[1]
}

// edit replaces the first of what is in a file.
func edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o600))
}

// serversSeen is how many web servers answer a few requests.
func serversSeen(t *testing.T, url string) int {
	t.Helper()
	seen := map[string]bool{}
	for range 2 * webServers {
		seen[get(t, url)] = true
	}
	return len(seen)
}

// get and post use a connection for each request, as curl does.
func get(t *testing.T, url string) string {
	t.Helper()
	return request(t, http.MethodGet, url)
}

func post(t *testing.T, url string) {
	t.Helper()
	request(t, http.MethodPost, url)
}

func request(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	req.Close = true
	resp, err := (&http.Client{Timeout: patience}).Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", url, body)
	return string(body)
}

func ping(t *testing.T, port int) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, "PING\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return line
}
