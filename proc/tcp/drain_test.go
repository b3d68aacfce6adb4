package tcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/service"
)

func TestRemovedEndpointKeepsItsConnectionsForAWhile(t *testing.T) {
	for name, without := range map[string]func(string) []*service.Endpoint{
		"removed": func(string) []*service.Endpoint { return nil },
		"DOWN":    func(a string) []*service.Endpoint { return []*service.Endpoint{marked(a, service.Endpoint_DOWN)} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := named(t, "a"), named(t, "b")
			p := run(t, all(a), drainTimeout(2*time.Second))
			old := p.dial()
			assert.Equal(t, "a", greeting(t, old))
			begin := time.Now()
			p.update(append(without(a), at(b)), drainTimeout(2*time.Second))
			for range 10 {
				assert.Equal(t, "b", greeting(t, p.dial()))
			}
			exchange(t, old, "goes on")
			assert.EqualValues(t, 1, p.stat("upstream.endpoints_draining"))
			assert.EqualValues(t, 1, p.endpointStat("endpoint.cx_active", a))
			assert.Zero(t, p.endpointStat("endpoint.up", a))

			_, err := old.Read(make([]byte, 1))
			assert.Error(t, err)
			takesAbout(t, 2*time.Second, begin)
			p.becomes("upstream.cx_drain_timeout", 1)
			p.becomes("upstream.endpoints_draining", 0)
			if name == "removed" {
				assert.EqualValues(t, -1, p.endpointStat("endpoint.cx_total", a), "its numbers are gone")
			} else {
				assert.EqualValues(t, 1, p.endpointStat("endpoint.cx_total", a))
			}
			assert.EqualValues(t, 11, p.stat("upstream.cx_total"), "the service's are not")
		})
	}
}

func TestEndpointThatComesBackKeepsItsConnections(t *testing.T) {
	const drain = 3 * time.Second
	a, b := named(t, "a"), named(t, "b")
	p := run(t, all(a), drainTimeout(drain))
	c := p.dial()
	assert.Equal(t, "a", greeting(t, c))
	begin := time.Now()
	p.update(all(b), drainTimeout(drain))
	pass(100 * time.Millisecond)
	p.update(all(a), drainTimeout(drain))
	pass(time.Until(begin.Add(drain + 500*time.Millisecond)))
	exchange(t, c, "nothing happened")
	assert.EqualValues(t, 1, p.endpointStat("endpoint.cx_total", a), "it is the same one")
	p.update(all(b), drainTimeout(drain))
	pass(100 * time.Millisecond)
	exchange(t, c, "its time begins anew")
	assert.Zero(t, p.stat("upstream.cx_drain_timeout"))
}

func TestDrainTimeoutChangesLive(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	p := run(t, all(a), drainTimeout(time.Hour))
	c := p.dial()
	assert.Equal(t, "a", greeting(t, c))
	p.update(all(b), drainTimeout(time.Hour))
	p.update(all(b), drainTimeout(10*time.Millisecond))
	p.becomes("upstream.cx_drain_timeout", 1)
}

// TestAttemptThatAnUpdateOvertakesGoesElsewhere: a client that waits for an endpoint to be
// connected while that is removed is served by another one.
func TestAttemptThatAnUpdateOvertakesGoesElsewhere(t *testing.T) {
	slow, open := silent(t)
	p := run(t, all(slow), connectTimeout(patience))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	p.update(all(named(t, "b")), connectTimeout(patience))
	open(func(c *net.TCPConn) { _, _ = c.Write([]byte("a")) })
	assert.Equal(t, "b", greeting(t, c))
	assert.Zero(t, p.stat("upstream.cx_connect_fail"))
}

// TestUpdatesUnderLoad changes endpoints a hundred times a second while 200 connections
// are in use. Two of the five endpoints are always there: connections to them must live.
func TestUpdatesUnderLoad(t *testing.T) {
	const fixed, clients = 2, 200
	var servers []string
	for i := range 5 {
		servers = append(servers, named(t, fmt.Sprint(i)))
	}
	p := run(t, all(servers...), policy(leastConn), drainTimeout(20*time.Millisecond))
	var stop atomic.Bool
	var lost, ended, done atomic.Int64
	var each sync.WaitGroup
	for range clients {
		each.Go(func() {
			for !stop.Load() {
				isFixed, n, err := p.use(&stop)
				done.Add(int64(n))
				if err != nil && isFixed {
					lost.Add(1)
					t.Logf("lost: %v", err)
				} else if err != nil {
					ended.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 200 {
		<-tick.C
		some := all(servers[:fixed]...)
		for _, s := range servers[fixed:] {
			switch rand.IntN(3) {
			case 0:
				some = append(some, at(s))
			case 1:
				some = append(some, marked(s, service.Endpoint_DOWN))
			}
		}
		p.update(some, policy(policies[i%3]), drainTimeout(20*time.Millisecond))
	}
	stop.Store(true)
	each.Wait()
	t.Logf("%d exchanges, %d connections drained", done.Load(), ended.Load())
	assert.Zero(t, lost.Load(), "connections to endpoints that were there all the time")
	assert.NotZero(t, ended.Load())
	assert.Zero(t, p.stat("upstream.unreachable")+p.stat("upstream.no_endpoint")+p.stat("upstream.cx_connect_fail"))
	p.becomes("upstream.cx_active", 0)
	p.becomes("downstream.cx_active", 0)
	for _, ep := range p.set.all() {
		assert.Zero(t, ep.load.Load(), ep.address)
	}
}

// use exchanges some text over one connection, and tells whether that led to one of the
// first two servers, and how often that went well.
func (p *proxy) use(stop *atomic.Bool) (isFixed bool, n int, err error) {
	c, err := net.Dial("tcp", p.addr)
	if err != nil { // a reset is one whose endpoint left, and whose time was over, before Dial had seen it
		return !errors.Is(err, syscall.ECONNRESET), 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	name := make([]byte, 1)
	if _, err := c.Read(name); err != nil {
		return false, 0, err // the endpoint had just left
	}
	for n = range 50 {
		if err := tryExchange(c, "0123456789"); err != nil || stop.Load() {
			return name[0] < '2', n, err
		}
		pass(5 * time.Millisecond)
	}
	return name[0] < '2', n, nil
}

func TestRunLetsConnectionsEndByThemselves(t *testing.T) {
	env := testEnv(t)
	env.Drain = patience
	p := runWith(t, newService(t, all(serve(t, echo))), env)
	c := p.dial()
	exchange(t, c, "hello")
	p.stop()
	eventually(t, func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, "the address is free")
	exchange(t, c, "goes on")
	assert.Empty(t, p.ended)
	require.NoError(t, c.Close())
	p.end()
}

func TestRunCutsWhatDoesNotEnd(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	c := p.dial()
	exchange(t, c, "hello")
	begin := time.Now()
	p.end()
	takesAbout(t, 50*time.Millisecond, begin)
	isReset(t, c) // something moved just now
	assert.EqualValues(t, 1, p.stat("downstream.cx_destroy_total"))
}

func TestRunEndsWhileEndpointsAreBeingConnected(t *testing.T) {
	bad, _ := silent(t)
	p := run(t, all(bad), connectTimeout(time.Hour))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	p.end()
	isReset(t, c)
}

// TestAttemptGoesElsewhereWhenTheTimeToDrainIsOver: a client that waits for a server that
// hangs has nothing to drain.
func TestAttemptGoesElsewhereWhenTheTimeToDrainIsOver(t *testing.T) {
	hung, _ := silent(t)
	p := run(t, all(hung), connectTimeout(time.Hour))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	p.update(all(named(t, "b")), connectTimeout(time.Hour), drainTimeout(100*time.Millisecond))
	assert.Equal(t, "b", greeting(t, c))
	assert.Zero(t, p.stat("upstream.cx_drain_timeout")+p.stat("upstream.cx_connect_fail"))
}
