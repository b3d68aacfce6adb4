package redis

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/internal/testredis"
)

// heldWork makes a client's session answer something later, and returns once the work
// has begun; it ends with release.
func heldWork(t *testing.T, p *testProxy) (c *testredis.Conn, release func()) {
	t.Helper()
	c = connect(t, p.Addr)
	must(t, c, "PING")
	began, held := make(chan struct{}), make(chan struct{})
	for _, w := range p.allWorkers() {
		w.loop.Post(func() {
			for _, s := range w.sessions {
				s.answerLater(func(dst []byte) []byte {
					close(began)
					<-held
					return append(dst, "+LATER\r\n"...)
				})
			}
		})
	}
	<-began
	release = sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // before the proxy is stopped, which waits for it
	return c, release
}

// sessions counts the clients of a proxy.
func (p *testProxy) sessions() (n int) {
	for _, some := range askWorkers(p.Proc, func(w *worker) int { return len(w.sessions) }) {
		n += some
	}
	return n
}

func TestLaterReplyKeepsItsTurn(t *testing.T) {
	p, _ := sharedProxy(t)
	c, release := heldWork(t, p)
	require.NoError(t, c.Send(cmd("SET", "k", "v"), cmd("GET", "k"), cmd("PING"), cmd("HOTKEYS", "GET"), cmd("PING", "end")))
	release()
	assert.Equal(t, []any{"LATER", "OK", "v", "PONG", []any{}, "end"}, receive(t, c, 6))
}

func TestLaterWorkFindsWhatWasSentBefore(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	for range 20 {
		require.NoError(t, c.Send(
			cmd("HOTKEYS", "START", "METRICS", 1, "NET"), cmd("SET", "a", "1"), cmd("MGET", "a", "b", "c"), cmd("HOTKEYS", "GET"),
			cmd("GET", "a"), cmd("HOTKEYS", "STOP"), cmd("HOTKEYS", "RESET"), cmd("HOTKEYS", "GET")))
		all := receive(t, c, 8)
		assert.Equal(t, []any{"OK", "OK", []any{"1", nil, nil}}, all[:3])
		assert.Len(t, fieldsOf(t, all[3])["by-net-bytes"], 6)
		assert.Equal(t, []any{"1", "OK", "OK", []any{}}, all[4:])
	}
}

func TestLaterReplyToAClientThatIsGone(t *testing.T) {
	p, _ := sharedProxy(t)
	c, release := heldWork(t, p)
	require.NoError(t, c.Close())
	require.Equal(t, 1, p.sessions(), "it waits for what it has asked")
	for _, w := range p.allWorkers() {
		w.loop.Post(func() {
			for len(w.sessions) > 0 {
				w.sessions[0].conn.Close(errStalled)
			}
		})
	}
	eventually(t, func() bool { return p.sessions() == 0 }, "the session is gone")
	release()
	eventually(t, func() bool {
		return askWorkers(p.Proc, func(w *worker) bool { return w.free != nil })[0]
	}, "its record is free again")
	assert.Equal(t, "PONG", must(t, connect(t, p.Addr), "PING"))
}

func TestMutedLaterReplyIsNotSent(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	require.NoError(t, c.Send(cmd("CLIENT", "REPLY", "SKIP"), cmd("HOTKEYS", "GET"), cmd("PING", 1),
		cmd("CLIENT", "REPLY", "OFF"), cmd("HOTKEYS", "START", "METRICS", 1, "CPU"), cmd("CLIENT", "REPLY", "ON"),
		cmd("HOTKEYS", "STOP")))
	assert.Equal(t, []any{"1", "OK", "OK"}, receive(t, c, 3))
}

func TestLaterWorkOutlivesItsClientButNotTheService(t *testing.T) {
	p, _ := sharedProxy(t)
	_, release := heldWork(t, p)
	p.stop()
	eventually(t, func() bool { return p.sessions() == 0 }, "the service has closed its sessions")
	select {
	case <-p.ended:
		t.Error("the service has ended while work was going on")
	case <-time.After(20 * time.Millisecond):
	}
	release()
	<-p.ended
}

func TestLaterWorkMayEndAfterItsLoop(t *testing.T) {
	l, err := eventloop.New()
	require.NoError(t, err)
	l.Close()
	later := &later{w: &worker{loop: l}, r: &request{}, work: func(dst []byte) []byte { return append(dst, "+OK\r\n"...) }}
	later.run()
	assert.Equal(t, "+OK\r\n", string(later.done))
	assert.Empty(t, askWorkers(&Proc{workers: map[*eventloop.Loop]*worker{l: later.w}}, func(*worker) int { return 1 }))
}

// A command that is answered later is one command in the statistics, and a failed one
// when its work fails.
func TestLaterCommandsAreCountedOnce(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	start := cmd("HOTKEYS", "START", "METRICS", 1, "CPU")
	must(t, c, start...)
	errorOf(t, c, start...)
	errorOf(t, c, "HOTKEYS", "RESET")
	errorOf(t, c, "HOTKEYS", "START", "METRICS", 0)
	errorOf(t, c, "HOTKEYS", "GET", "x")
	must(t, c, "HOTKEYS", "GET")
	must(t, c, "HOTKEYS", "STOP")
	counts := askWorkers(p.Proc, func(w *worker) map[string][2]uint64 {
		m := make(map[string][2]uint64)
		for name := range hotkeysFuncs {
			stats := w.stats.count(subcommand(t, name))
			m[name] = [2]uint64{stats.total, stats.errors}
		}
		return m
	})
	require.Len(t, counts, 1)
	assert.Equal(t, map[string][2]uint64{
		"hotkeys|start": {3, 2}, "hotkeys|get": {2, 1}, "hotkeys|stop": {1, 0}, "hotkeys|reset": {1, 1}, "hotkeys|help": {0, 0},
	}, counts[0])
}
