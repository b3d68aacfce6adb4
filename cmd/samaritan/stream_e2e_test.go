package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/hc"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/internal/testmariadb"
	"samaritan/internal/testredis"
)

// streams is a daemon whose services all come from a source.
func streams(t *testing.T) (*child, *manager) {
	t.Helper()
	src := newManager(t)
	c, _ := beginWith(t, nil, func(c *child) { c.write(sheet{admin: c.admin, top: src.top()}.text()) })
	c.await("/dynamic", 200, `"connected":true`)
	return c, src
}

// What the source takes away gets no new connections; those that are there go on until
// their time is over.
func TestStreamsToAnEndpointThatLeavesGoOnUntilTheLimit(t *testing.T) {
	a, b := newGreeter(t, "a"), newGreeter(t, "b")
	c, src := streams(t)
	listen := testredis.FreeAddress(t)
	drain := func(limit float64) func(*service.Config) {
		return func(s *service.Config) {
			s.ProtocolOptions = &service.Config_TcpOption{TcpOption: &protocol.TCPOption{DrainTimeout: seconds(limit)}}
		}
	}
	src.Set("greet", wireConfig(listen, protocol.Protocol_TCP, drain(60)), wireEndpoints(a.address, b.address))
	c.awaitReady("greet")
	guests := map[string]*guest{}
	for range 2 {
		g, err := visit(listen)
		require.NoError(t, err)
		defer g.Close()
		guests[g.host] = g
	}
	require.Len(t, guests, 2, "by turns")

	src.Set("greet", wireConfig(listen, protocol.Protocol_TCP, drain(60)), wireEndpoints(b.address))
	c.await("/endpoints?service=greet", 200, `"draining":true`)
	for range 10 {
		assert.Equal(t, "b", hostOf(listen))
	}
	require.NoError(t, guests["a"].ask("still here"))
	require.NoError(t, guests["b"].ask("of course"))

	// It comes back before the limit, and leaves again with a shorter one.
	src.Set("greet", wireConfig(listen, protocol.Protocol_TCP, drain(60)), wireEndpoints(a.address, b.address))
	require.Eventually(t, func() bool { return hostOf(listen) == "a" }, patience, time.Millisecond)
	require.NoError(t, guests["a"].ask("and still"))
	src.Set("greet", wireConfig(listen, protocol.Protocol_TCP, drain(0.2)), wireEndpoints(b.address))
	_ = guests["a"].SetDeadline(time.Now().Add(patience))
	_, err := guests["a"].r.ReadByte()
	require.Error(t, err)
	var slow net.Error
	assert.False(t, errors.As(err, &slow) && slow.Timeout(), "it was cut, not forgotten: %v", err)
	require.NoError(t, guests["b"].ask("untouched"))
}

// While endpoints come and go, no request of a client is lost that has one to go to.
func TestHTTPThroughTheProxyWhileEndpointsChange(t *testing.T) {
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = byte(rand.IntN(256))
	}
	var addresses []string
	for range 3 {
		addresses = append(addresses, httpServer(t, body))
	}
	c, src := streams(t)
	listen := testredis.FreeAddress(t)
	set := func(policy service.LoadBalancePolicy, endpoints ...string) {
		src.Set("web", wireConfig(listen, protocol.Protocol_TCP, func(s *service.Config) { s.LbPolicy = policy }), wireEndpoints(endpoints...))
	}
	set(service.LoadBalancePolicy_ROUND_ROBIN, addresses...)
	c.awaitReady("web")

	var requests atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !assert.NoError(t, download(client, "http://"+listen+"/", body)) {
					return
				}
				requests.Add(1)
			}
		})
	}
	for i := range 60 {
		set(service.LoadBalancePolicy(i%3), addresses[i%3], addresses[(i+1)%3])
		want := requests.Load() + 2
		require.Eventually(t, func() bool { return requests.Load() >= want || t.Failed() }, patience, time.Millisecond)
	}
	close(stop)
	clients.Wait()
	assert.Zero(t, c.number("service.web.upstream.cx_connect_fail"))
	t.Logf("%d requests", requests.Load())
}

func httpServer(t *testing.T, body []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Received", strconv.FormatInt(n, 10))
		_, _ = w.Write(body)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); wg.Wait() })
	return l.Addr().String()
}

// download sends the body and gets it back.
func download(client *http.Client, url string, body []byte) error {
	resp, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(got, body):
		return fmt.Errorf("got %d bytes that are not those of the server", len(got))
	case resp.Header.Get("X-Received") != strconv.Itoa(len(body)):
		return fmt.Errorf("the server got %s bytes", resp.Header.Get("X-Received"))
	}
	return nil
}

// A real database, its backup, and a client that sees one server.
func TestMariaDBFailsOverToItsBackup(t *testing.T) {
	main, backup := testmariadb.Start(t, "--server-id=1"), testmariadb.Start(t, "--server-id=2")
	for _, s := range []*testmariadb.Server{main, backup} {
		_, err := s.Exec("CREATE USER checker@'127.0.0.1'")
		require.NoError(t, err)
	}
	c, src := streams(t)
	listen := testredis.FreeAddress(t)
	endpoints := wireEndpoints(main.Address(), backup.Address())
	endpoints[1].Type = service.Endpoint_BACKUP
	src.Set("db", wireConfig(listen, protocol.Protocol_MySQL, func(s *service.Config) {
		s.HealthCheck = &hc.HealthCheck{
			Interval: seconds(0.1), Timeout: seconds(1), FallThreshold: 2, RiseThreshold: 2,
			Checker: &hc.HealthCheck_MysqlChecker{MysqlChecker: &hc.MySQLChecker{Username: "checker"}},
		}
	}), endpoints)
	c.awaitReady("db")
	serverID := func() string { return query(t, listen, "SELECT @@server_id") }
	assert.Equal(t, "1", serverID())
	query(t, listen, "CREATE DATABASE shop; CREATE TABLE shop.items (id INT, note LONGTEXT); INSERT INTO shop.items VALUES (1, REPEAT('x', 3000000))")
	assert.Equal(t, "3000000", query(t, listen, "SELECT LENGTH(note) FROM shop.items"))

	main.Stop()
	c.await("/endpoints?service=db", 200, `"healthy":false`)
	assert.Equal(t, "2", serverID())
	require.NoError(t, main.Restart())
	require.Eventually(t, func() bool { return serverID() == "1" }, patience, 20*time.Millisecond)

	// One that hangs accepts connections, and is found out by its silence.
	main.Pause()
	c.await("/endpoints?service=db", 200, `"healthy":false`)
	assert.Equal(t, "2", serverID())
	main.Resume()
	require.Eventually(t, func() bool { return serverID() == "1" }, patience, 20*time.Millisecond)
	assert.Equal(t, "3000000", query(t, listen, "SELECT LENGTH(note) FROM shop.items"))
}

// query asks by the command line client; "" when it fails.
func query(t *testing.T, address, sql string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "mariadb", "--no-defaults", "-h", host, "-P", port, "--protocol=tcp", "-u", "root", "--skip-ssl", "-N", "-B", "-e", sql).CombinedOutput()
	if err != nil {
		t.Logf("mariadb: %v: %s", err, out)
		return ""
	}
	return strings.TrimSpace(string(out))
}
