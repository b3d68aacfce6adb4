package redis

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc"
)

// moving is a run of MoveClients in the background.
type moving struct {
	*courier
	cancel context.CancelFunc
	ended  chan struct{}
}

// startMoving begins to move the clients of one proxy to another; take is asked about each.
func startMoving(t testing.TB, from, to *testProxy, take func(proc.Client) error) *moving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &moving{courier: newCourier(t, to), cancel: cancel, ended: make(chan struct{})}
	m.take = take
	from.Pause()
	go func() { defer close(m.ended); from.MoveClients(ctx, m.give) }()
	t.Cleanup(m.stop)
	return m
}

// wait waits until no client is left, or the move was cancelled.
func (m *moving) wait(t testing.TB) {
	t.Helper()
	select {
	case <-m.ended:
	case <-time.After(wireTimeout):
		t.Fatal("MoveClients does not return")
	}
	m.wg.Wait()
}

func (m *moving) stop() {
	m.cancel()
	<-m.ended
	m.wg.Wait()
}

func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func hear(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	require.NoError(t, err, "%.200q", got[:n])
	require.Equal(t, want, string(got))
}

func TestRefusedClientsAreServedOnAndNotOfferedAgain(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	conns := idle(t, a.Addr, 20)
	m := startMoving(t, a, b, func(proc.Client) error { return errRefused })
	eventually(t, func() bool { return m.denied.Load() == 20 }, "all are offered")
	for range 20 { // rounds go on meanwhile
		for _, c := range conns {
			say(t, c, "PING\r\n")
		}
		pong(t, conns)
	}
	m.stop()
	assert.EqualValues(t, 20, m.denied.Load())
	assert.Equal(t, 20, a.Clients())
	assert.Zero(t, a.counter("downstream.cx_moved_out")+a.counter("downstream.cx_destroy_total"))

	moveAll(t, a, b) // somebody else
	assert.Equal(t, 20, b.Clients())
}

func TestClientThatLeavesWhileItIsFrozen(t *testing.T) {
	for name, err := range map[string]error{"taken": nil, "refused": errRefused} {
		t.Run(name, func(t *testing.T) {
			a, b := startTwins(t, proxyOptions{})
			c := idle(t, a.Addr, 1)[0]
			offered, answer := make(chan bool), make(chan bool)
			m := startMoving(t, a, b, func(proc.Client) error { offered <- true; <-answer; return err })
			<-offered
			c.Close()
			assert.Equal(t, 1, a.Clients(), "nobody looks")
			close(answer)
			m.wait(t)
			eventually(t, func() bool { return a.Clients()+b.Clients() == 0 }, "it is found to have gone")
			assert.Equal(t, 1, a.counter("downstream.cx_destroy_total")+b.counter("downstream.cx_destroy_total"))
		})
	}
}

func TestFrozenClientIsNotExpired(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	c := idle(t, a.Addr, 1)[0]
	offered, answer := make(chan bool), make(chan bool)
	m := startMoving(t, a, b, func(proc.Client) error { offered <- true; <-answer; return errRefused })
	<-offered
	far := int64(1000 * time.Hour)
	expire := func(w *worker) {
		for _, s := range w.sessions {
			s.expire(w.loop.Now() + far)
		}
	}
	a.onWorkers(expire)
	assert.Equal(t, 1, a.Clients())
	close(answer)
	eventually(t, func() bool { return m.denied.Load() == 1 }, "the answer")
	say(t, c, "PING\r\n")
	hear(t, c, "+PONG\r\n")
	a.onWorkers(expire)
	assert.Zero(t, a.Clients(), "later it is")
}

func TestClientsThatAreLeftWhenTheMoveEndsAreServedOn(t *testing.T) {
	a, b := startTwins(t, proxyOptions{loops: 2})
	conns := idle(t, a.Addr, 500)
	var n atomic.Int64
	hundred := make(chan struct{})
	m := startMoving(t, a, b, func(proc.Client) error {
		if n.Add(1) == 100 {
			close(hundred)
		}
		return nil
	})
	<-hundred
	m.stop()
	eventually(t, func() bool { return a.counter("downstream.cx_moved_out") == b.counter("downstream.cx_moved_in") }, "all is settled")
	assert.Equal(t, 500, a.Clients()+b.Clients())
	for _, c := range conns {
		say(t, c, "PING\r\n")
	}
	pong(t, conns)
	a.onWorkers(func(w *worker) {
		for _, s := range w.sessions {
			assert.Zero(t, s.stop)
			assert.False(t, s.conn.Frozen())
		}
	})
	moveAll(t, a, b)
}

func TestServiceThatStopsDuringTheMove(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	conns := idle(t, a.Addr, 300)
	offered, answer := make(chan bool, 300), make(chan bool)
	m := startMoving(t, a, b, func(proc.Client) error { offered <- true; <-answer; return nil })
	<-offered
	a.Stop() // those that are frozen are waited for, until the time is over
	fd := openDescriptors(t)
	close(answer)
	m.wait(t)
	taken := int(m.taken.Load())
	assert.Greater(t, taken, 0)
	eventually(t, func() bool { return b.Clients() == taken }, "those given away are served")
	assert.LessOrEqual(t, openDescriptors(t), fd+1, "each descriptor that was kept was closed, and one made")
	served := 0
	for _, c := range conns {
		_, _ = io.WriteString(c, "PING\r\n")
		if got, err := io.ReadAll(io.LimitReader(c, 7)); err == nil && string(got) == "+PONG\r\n" {
			served++
		}
	}
	assert.Equal(t, taken, served)
}

func TestServiceDrainsDuringTheMove(t *testing.T) {
	a, b := startTwins(t, proxyOptions{drain: wireTimeout})
	conns := idle(t, a.Addr, 100)
	offered, answer := make(chan bool, 100), make(chan bool)
	m := startMoving(t, a, b, func(proc.Client) error { offered <- true; <-answer; return nil })
	<-offered
	a.stop()
	eventually(t, func() bool { return a.Clients() < 100 }, "the others are let go")
	close(answer)
	m.wait(t)
	<-a.ended
	eventually(t, func() bool { return b.Clients() == int(m.taken.Load()) }, "those given away are served")
	served := 0
	for _, c := range conns {
		_, _ = io.WriteString(c, "PING\r\n")
		if got, err := io.ReadAll(io.LimitReader(c, 7)); err == nil && string(got) == "+PONG\r\n" {
			served++
		}
	}
	assert.EqualValues(t, m.taken.Load(), served)
}

func TestClientThatDoesNotReadStaysAndHoldsUpNobody(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	large := strings.Repeat("v", 1<<20)
	expectReply(t, dialWire(t, a.Addr), "+OK\r\n", "SET", "v", large)
	deaf := dialWire(t, a.Addr)
	const replies = 40
	say(t, deaf, strings.Repeat("GET v\r\n", replies)+"CLIENT ID\r\n")
	eventually(t, func() bool { return a.counter("downstream.rq_held_output") > 0 }, "its replies pile up")
	idle(t, a.Addr, 100)
	m := startMoving(t, a, b, nil)
	eventually(t, func() bool { return a.Clients() == 1 }, "the others go")

	// It has its turns, and none of them does any harm.
	eventually(t, func() (asked bool) {
		a.onWorkers(func(w *worker) { asked = w.mover.round > 3 })
		return asked
	}, "it is asked")
	assert.Equal(t, 1, a.Clients())
	want := fmt.Sprintf("$%d\r\n%s\r\n", len(large), large)
	for range replies {
		hear(t, deaf, want)
	}
	m.wait(t) // it has gone, once all was written
	var id string
	_, err := fmt.Fscanf(deaf, ":%s\r\n", &id)
	require.NoError(t, err)
	say(t, deaf, "PING\r\n")
	hear(t, deaf, "+PONG\r\n")
	assert.Equal(t, 0, a.Clients())
}

func TestClientOfASilentNodeGoesOnceItIsAnswered(t *testing.T) {
	node := startStub(t)
	a := startProxy(t, proxyOptions{requestTimeout: wireTimeout}, node.Addr).ready(t)
	b := startProxy(t, proxyOptions{}, node.Addr).ready(t)
	hold := node.holds("GET")
	stuck := dialWire(t, a.Addr)
	say(t, stuck, commands("GET k", "PING"))
	eventually(t, func() bool { return a.counter("upstream.rq_active") == 1 }, "it waits")
	idle(t, a.Addr, 100)
	m := startMoving(t, a, b, nil)
	eventually(t, func() bool { return a.Clients() == 1 }, "the others go")
	eventually(t, func() (asked bool) {
		a.onWorkers(func(w *worker) { asked = w.mover.round > 3 })
		return asked
	}, "it has its turns")
	assert.Equal(t, 1, a.Clients())
	close(hold)
	m.wait(t)
	hear(t, stuck, "$1\r\nk\r\n+PONG\r\n")
	assert.Equal(t, 101, b.Clients())
}

func TestLargeHalfRequestTravelsAlone(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	size := 100 << 20
	if raceDetector {
		size = 20 << 20
	}
	value := strings.Repeat("0123456789abcdef", size/16)
	c := dialWire(t, a.Addr)
	head := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n", size)
	half := size / 2
	say(t, c, "CLIENT SETNAME large\r\n"+head+value[:half])
	hear(t, c, "+OK\r\n")
	a.waitCounter(t, "downstream.cx_rx_bytes_total", len(head)+half)
	idle(t, a.Addr, 50)
	offered, answer := make(chan bool), make(chan bool)
	m := startMoving(t, a, b, func(c proc.Client) error {
		if len(c.Input) > largeInput {
			offered <- true
			<-answer
		}
		return nil
	})
	<-offered
	a.Resume()
	late := idle(t, a.Addr, 5) // they need not wait for it
	for range 20 {
		for _, c := range late {
			say(t, c, "PING\r\n")
		}
		pong(t, late)
	}
	for range 3 {
		a.onWorkers(func(w *worker) {
			w.mover.next = 0 // another round
			w.mover.step()
			assert.Equal(t, 1, w.mover.frozen)
		})
	}
	assert.Equal(t, 6, a.Clients())
	close(answer)
	m.wait(t)
	assert.EqualValues(t, len(head)+half, m.bytes.Load())
	say(t, c, value[half:]+"\r\n"+commands("STRLEN large", "CLIENT GETNAME"))
	hear(t, c, fmt.Sprintf("+OK\r\n:%d\r\n$5\r\nlarge\r\n", size))
	say(t, c, commands("GET large"))
	hear(t, c, fmt.Sprintf("$%d\r\n%s\r\n", size, value))
	expectReply(t, c, ":1\r\n", "DEL", "large")
}

// A client may be moved wherever its bytes happen to end.
func TestClientsMoveBetweenAnyTwoBytes(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	pipeline := commands("SET k v", "GET k", "MSET a 1 b 2 c 3", "MGET a b c", "INCRBY n 7") + "PING\r\n" + "*0\r\n" + commands("DEL n", "ECHO end")
	replies := "+OK\r\n$1\r\nv\r\n+OK\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n:7\r\n+PONG\r\n:1\r\n$3\r\nend\r\n"
	c := dialWire(t, a.Addr)
	a.waitCounter(t, "downstream.cx_total", 1)
	for at := range len(pipeline) {
		before := a.counter("downstream.cx_rx_bytes_total")
		say(t, c, pipeline[:at])
		a.waitCounter(t, "downstream.cx_rx_bytes_total", before+at)
		moveAll(t, a, b)
		say(t, c, pipeline[at:])
		hear(t, c, replies)
		a, b = b, a
	}
	both := func(name string) int { return a.counter(name) + b.counter(name) }
	assert.Equal(t, len(pipeline)*len(pipeline), both("downstream.cx_rx_bytes_total"), "each byte counts once")
	assert.Equal(t, len(replies)*len(pipeline), both("downstream.cx_tx_bytes_total"))
	assert.Equal(t, 1, both("downstream.cx_total"))
	assert.Equal(t, len(pipeline), both("downstream.cx_moved_in"))
	assert.Equal(t, len(pipeline), both("downstream.cx_moved_out"))
}

// An answer that is given twice must not close a descriptor that is somebody else's by then.
func TestOnlyTheFirstAnswerCounts(t *testing.T) {
	a, _ := startTwins(t, proxyOptions{})
	conns := idle(t, a.Addr, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	given := make(chan bool, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.MoveClients(ctx, func(_ proc.Client, done func(error)) {
			done(errRefused)
			done(nil)
			given <- true
		})
	}()
	for range conns {
		<-given
	}
	for _, c := range conns {
		say(t, c, "PING\r\n")
	}
	pong(t, conns)
	cancel()
	<-ended
	assert.Zero(t, a.counter("downstream.cx_moved_out"))
	assert.Equal(t, 10, a.Clients())
}

func TestSwitchesOfAClientMoveBetweenCommands(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	c := dialWire(t, a.Addr)
	multi := "-ERR samaritan: 'multi' is not supported yet: a transaction needs a connection to a node for this client alone\r\n"
	for _, step := range []struct{ say, hear string }{
		{commands("MULTI"), multi},
		{commands("SET k 1"), "-ERR samaritan: not executed: MULTI was refused on this connection and is not over; send DISCARD\r\n"},
		{commands("DISCARD"), "+OK\r\n"},
		{commands("CLIENT REPLY SKIP"), ""},
		{commands("SET k 1"), ""},
		{commands("GET k"), "$1\r\n1\r\n"},
		{commands("CLIENT REPLY OFF"), ""},
		{commands("INCR k"), ""},
		{commands("CLIENT REPLY ON"), "+OK\r\n"},
		{commands("GET k"), "$1\r\n2\r\n"},
	} {
		before := a.counter("downstream.cx_rx_bytes_total")
		say(t, c, step.say)
		hear(t, c, step.hear)
		a.waitCounter(t, "downstream.cx_rx_bytes_total", before+len(step.say))
		moveAll(t, a, b)
		a, b = b, a
	}
}

func TestAdoptedClientsMayExceedTheLimit(t *testing.T) {
	a, b := startTwins(t, proxyOptions{limit: 2})
	conns := idle(t, a.Addr, 2)
	moved := idle(t, b.Addr, 2)
	moveAll(t, a, b)
	assert.Equal(t, 4, b.Clients())
	for _, c := range append(conns, moved...) {
		say(t, c, "PING\r\n")
		hear(t, c, "+PONG\r\n")
	}
	got, err := io.ReadAll(dialWire(t, b.Addr))
	require.NoError(t, err)
	assert.Equal(t, refusal, string(got))
}

func TestSlotsThatHaveJustMovedAreToldAlong(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	idle(t, a.Addr, 1)
	a.onWorkers(func(w *worker) { w.unsettle(5); w.unsettle(16383) })
	moveAll(t, a, b)
	told := 0
	b.onWorkers(func(w *worker) {
		if w.unsettled[5] > w.loop.Now()-int64(unsettledFor) && w.unsettled[16383] > 0 {
			told++
		}
	})
	assert.Equal(t, 1, told)
}
