package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/examples/discovery/server"
	"samaritan/internal/testredis"
)

// manager is a management server that can go away and come back at its address.
type manager struct {
	*server.Server
	t       *testing.T
	address string
	stop    func() // waits for its end; nil while it is away
}

// newManager starts one for instances that belong to "test" and run all there is.
func newManager(t *testing.T) *manager {
	t.Helper()
	s := &manager{Server: server.New(server.Options{}), t: t, address: testredis.FreeAddress(t)}
	s.Depend("test", server.All)
	s.start()
	t.Cleanup(s.leave)
	return s
}

func (s *manager) start() {
	s.t.Helper()
	s.stop = serveOn(s.t, s.address, func(ctx context.Context, l net.Listener) { _ = s.Serve(ctx, l) })
}

// leave ends the source; its streams break.
func (s *manager) leave() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// top is the section of a config file that makes a daemon use the source.
func (s *manager) top() string {
	return fmt.Sprintf("instance: {id: one, belong: test}\ndynamic_source_config: {endpoint: %q}", s.address)
}

// serveOn listens and serves until the function returned is called, which waits.
func serveOn(t *testing.T, address string, serve func(context.Context, net.Listener)) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { serve(ctx, l) })
	return func() {
		cancel()
		_ = l.Close()
		wg.Wait()
	}
}

// babble answers everybody with bytes that are no HTTP/2.
func babble(ctx context.Context, l net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			_, _ = io.WriteString(conn, "-ERR unknown command 'PRI'\r\n\x00\x00\xff\xff\xff\x01garbage")
			_, _ = io.Copy(io.Discard, conn)
		})
	}
}

// wireConfig is a config as it comes over the wire.
func wireConfig(listen string, p protocol.Protocol, change ...func(*service.Config)) *service.Config {
	c := &service.Config{Listener: &service.Listener{Address: wireAddress(listen)}, Protocol: p}
	for _, f := range change {
		f(c)
	}
	return c
}

func wireAddress(hostPort string) *common.Address {
	a := netip.MustParseAddrPort(hostPort)
	return &common.Address{Ip: a.Addr().String(), Port: uint32(a.Port())}
}

func wireEndpoints(addresses ...string) []*service.Endpoint {
	endpoints := []*service.Endpoint{} // not nil: none is something to tell, too
	for _, a := range addresses {
		endpoints = append(endpoints, &service.Endpoint{Address: wireAddress(a)})
	}
	return endpoints
}

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

// greeter is a server of streams: it says its name, and then what it is told.
type greeter struct {
	name, address string
	stop          func()
}

func newGreeter(t *testing.T, name string) *greeter {
	t.Helper()
	g := &greeter{name: name, address: testredis.FreeAddress(t)}
	g.start(t)
	t.Cleanup(func() { g.stop() })
	return g
}

func (g *greeter) start(t *testing.T) {
	t.Helper()
	g.stop = serveOn(t, g.address, func(ctx context.Context, l net.Listener) {
		var wg sync.WaitGroup
		defer wg.Wait()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_, _ = io.WriteString(conn, g.name+"\n")
				_, _ = io.Copy(conn, conn)
			})
		}
	})
}

// guest is a connection to a greeter.
type guest struct {
	net.Conn
	r    *bufio.Reader
	host string // the name of the greeter
}

// visit connects, by way of a proxy perhaps, and reads who is there.
func visit(address string) (*guest, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: conn, r: bufio.NewReader(conn)}
	_ = conn.SetDeadline(time.Now().Add(patience))
	line, err := g.r.ReadString('\n')
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	g.host = line[:len(line)-1]
	return g, nil
}

// ask sends a line and checks that it comes back.
func (g *guest) ask(text string) error {
	_ = g.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(g, text+"\n"); err != nil {
		return err
	}
	got, err := g.r.ReadString('\n')
	if err == nil && got != text+"\n" {
		err = fmt.Errorf("got %q instead of %q", got, text)
	}
	return err
}

// hostOf visits once; "" when nobody is there.
func hostOf(address string) string {
	g, err := visit(address)
	if err != nil {
		return ""
	}
	defer g.Close()
	return g.host
}
