package redis

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/redis"
	"samaritan/hotkey"
)

// moveState brings the state of one proxy to another one, as to another process.
func moveState(t testing.TB, from, to *testProxy) {
	t.Helper()
	data, err := from.ExportState()
	require.NoError(t, err)
	require.NoError(t, to.ImportState(data))
}

// hotText is the view of the hot keys as JSON.
func (p *testProxy) hotText(t testing.TB) string {
	t.Helper()
	text, err := json.Marshal(p.HotKeys(0))
	require.NoError(t, err)
	return string(text)
}

// workload uses some keys, as clients with names.
func workload(t testing.TB, p *testProxy) {
	t.Helper()
	one, two := connect(t, p.Addr), connect(t, p.Addr)
	must(t, one, "CLIENT", "SETNAME", "orders")
	must(t, two, "CLIENT", "SETNAME", "carts")
	for i := range 60 {
		must(t, one, "SET", "hot", strings.Repeat("v", 2000))
		must(t, two, "GET", "hot")
		if i%3 == 0 {
			must(t, two, "MGET", "hot", "b\xff", "c")
			must(t, one, "XGROUP", "CREATE", "stream"+strings.Repeat("x", i%2), "g"+strings.Repeat("x", i), "$", "MKSTREAM")
		}
	}
	must(t, one, "DEL", "stream", "streamx")
}

func TestSuccessorAnswersAboutHotKeysAsTheOneBefore(t *testing.T) {
	parent, child := hotProxy(t, proxyOptions{loops: 2}), hotProxy(t, proxyOptions{})
	// Numbers of clients are others here.
	other := connect(t, child.Addr)
	must(t, other, "CLIENT", "SETNAME", "somebody")
	must(t, other, "GET", "hot")

	workload(t, parent)
	parent.mergeOnce()
	must(t, connect(t, parent.Addr), "GET", "hot") // in the interval that has begun
	moveState(t, parent, child)
	from, to := connect(t, parent.Addr), connect(t, child.Addr)
	for _, line := range []string{"HOTKEY", "HOTKEY LIST", "HOTKEY LIST COUNT 2", "HOTKEY SLOTS", "HOTKEY SLOTS BYTES", "HOTKEY BIG", "HOTKEYS GET"} {
		cmd := words(line)
		want := must(t, from, cmd...)
		require.NotEmpty(t, want, line)
		assert.Equal(t, want, must(t, to, cmd...), line)
	}
	assert.JSONEq(t, parent.hotText(t), child.hotText(t))

	must(t, to, "GET", "hot")
	must(t, to, "CLIENT", "SETNAME", "orders")
	must(t, to, "GET", "hot")
	got := child.counted()
	// 140 of the workload, one in the interval that had begun, and three here.
	assert.EqualValues(t, 144, got["hot"].Count)
	assert.Zero(t, got["hot"].Error)
	clients := map[string]uint64{}
	for _, c := range got["hot"].Clients {
		clients[c.Name] = c.Hits
	}
	assert.EqualValues(t, 61, clients["orders"])
	assert.EqualValues(t, 80, clients["carts"])
	assert.EqualValues(t, 1, clients["somebody"])
	assert.Equal(t, "set", got["hot"].Commands[1].Name)
	assert.Contains(t, got["stream"].Commands, hotkey.Part{Name: "xgroup|create", Hits: 10})
	assert.Contains(t, got, "b\xff")
}

func words(line string) (all []any) {
	for _, w := range strings.Fields(line) {
		all = append(all, w)
	}
	return all
}

// TestExportLeavesTheServiceAsItWas: when the successor fails, nothing is missing.
func TestExportLeavesTheServiceAsItWas(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	c := connect(t, p.Addr)
	must(t, c, "GET", "k")
	before := p.hotText(t)
	for range 3 {
		_, err := p.ExportState()
		require.NoError(t, err)
		must(t, c, "GET", "k")
	}
	assert.JSONEq(t, before, p.hotText(t), "no interval has ended")
	assert.Equal(t, map[string]int{"k": 4}, p.hits())
}

func TestHotKeysThatAreSwitchedOffDoNotMove(t *testing.T) {
	parent, child := hotProxy(t, proxyOptions{}), hotProxy(t, proxyOptions{})
	must(t, connect(t, parent.Addr), "GET", "k")
	parent.mergeOnce()
	child.setHot(t, &redis.HotKeys{Enable: proto.Bool(false)})
	moveState(t, parent, child)
	assert.Empty(t, child.hotKeys().Keys)
	moveState(t, child, parent)
	assert.Len(t, parent.hotKeys().Keys, 1, "there was nothing to replace it with")
}

// trackingOf is what HOTKEYS GET answers.
func trackingOf(t testing.TB, p *testProxy) map[string]any {
	t.Helper()
	return fieldsOf(t, must(t, connect(t, p.Addr), "HOTKEYS", "GET"))
}

func TestHotkeysSessionGoesOnInTheSuccessor(t *testing.T) {
	first, _ := sharedProxy(t)
	c := connect(t, first.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", 12)
	useThreeNodes(t, first)
	was := trackingOf(t, first)
	p := first
	for range 2 { // a chain
		next, _ := sharedProxy(t)
		moveState(t, p, next)
		p = next
	}
	now := trackingOf(t, p)
	for _, name := range []string{"tracking-active", "sample-ratio", "total-net-bytes", "by-net-bytes", "collection-start-time-unix-ms"} {
		assert.Equal(t, was[name], now[name], name)
	}
	assert.GreaterOrEqual(t, now["collection-duration-ms"], was["collection-duration-ms"])
	assert.GreaterOrEqual(t, now["total-cpu-time-user-ms"], was["total-cpu-time-user-ms"])
	assert.Contains(t, errorOf(t, connect(t, p.Addr), "HOTKEYS", "START", "METRICS", 1, "NET"), "is active already")

	useThreeNodes(t, p)
	must(t, connect(t, p.Addr), "HOTKEYS", "STOP")
	after := trackingOf(t, p)
	assert.Equal(t, int64(0), after["tracking-active"])
	assert.Equal(t, 2*was["total-net-bytes"].(int64), after["total-net-bytes"])
	weights, before := pairsOf(t, after["by-net-bytes"]), pairsOf(t, was["by-net-bytes"])
	require.Len(t, weights, 4)
	for key, weight := range before {
		assert.Equal(t, 2*weight, weights[key], key)
	}
	assert.Equal(t, int64(1), trackingOf(t, first)["tracking-active"], "there it was left alone")

	last, _ := sharedProxy(t) // and what was found moves, too
	moveState(t, p, last)
	assert.Equal(t, after, trackingOf(t, last))
	must(t, connect(t, last.Addr), "HOTKEYS", "RESET")
	assert.Empty(t, must(t, connect(t, last.Addr), "HOTKEYS", "GET"))
}

func TestHotkeysSessionKeepsWhatItWasAskedFor(t *testing.T) {
	parent, _ := sharedProxy(t)
	child, _ := sharedProxy(t)
	must(t, connect(t, parent.Addr), "HOTKEYS", "START", "METRICS", 1, "NET", "COUNT", 3, "DURATION", 5000, "SAMPLE", 4, "SLOTS", 3, 1, 2, 16383)
	moveState(t, parent, child)
	want, got := parent.tracking.last.spec, child.tracking.last.spec
	assert.Equal(t, want, got)
	assert.True(t, child.tracking.last.limited)
}

func TestHotkeysSessionEndsInTheSuccessorWhenItsTimeIsOver(t *testing.T) {
	parent, _ := sharedProxy(t)
	must(t, connect(t, parent.Addr), "HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 1)
	data, err := parent.ExportState()
	require.NoError(t, err)

	t.Run("imported while it runs", func(t *testing.T) {
		child, _ := sharedProxy(t)
		require.NoError(t, child.ImportState(data))
		eventually(t, func() bool { return trackingOf(t, child)["tracking-active"] == int64(0) }, "it ends")
	})
	t.Run("imported before it runs", func(t *testing.T) {
		child, _ := sharedProxy(t)
		built, err := New(child.svc.Load(), child.env)
		require.NoError(t, err)
		early := built.(*Proc)
		require.NoError(t, early.ImportState(data))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- early.Run(ctx) }()
		eventually(t, func() bool { _, _, running := early.tracked(); return !running }, "it ends")
		stop()
		require.NoError(t, <-ended)
	})
}

func TestSessionThatRunsHereStays(t *testing.T) {
	parent, _ := sharedProxy(t)
	child, _ := sharedProxy(t)
	must(t, connect(t, parent.Addr), "HOTKEYS", "START", "METRICS", 1, "NET")
	must(t, connect(t, child.Addr), "HOTKEYS", "START", "METRICS", 1, "CPU")
	moveState(t, parent, child)
	assert.Contains(t, trackingOf(t, child), "by-cpu-time-us")
}

// brokenStates must not be taken.
var brokenStates = []string{
	``, `{}`, `{"format":"samaritan redis service"}`, `{"format":"samaritan redis service","version":2}`,
	`{"format":"samaritan redis service","version":1,"hot_keys":{}}`,
	`{"format":"samaritan redis service","version":1,"tracking":{}}`,
	goodTracking(`"count":65`), goodTracking(`"count":0`), goodTracking(`"sample":0`), goodTracking(`"net":false`),
	goodTracking(`"duration":-1`), goodTracking(`"duration":9223372036854775807`), goodTracking(`"user":-1`),
	goodTracking(`"found":null`), goodTracking(`"slots":[[0,16384]]`), goodTracking(`"slots":[[5,4]]`),
	goodTracking(`"started":"0001-01-01T00:00:00Z"`), goodTracking(`"found":{"by_cost":[{"name":"YQ==","length":9}]}`),
}

// goodTracking is the state of a session, with a field that comes once more.
func goodTracking(and string) string {
	return `{"format":"samaritan redis service","version":1,"tracking":{"net":true,"count":10,"sample":1,"started":"2024-05-06T07:08:09Z","found":{},` + and + `}}`
}

func TestStateOfNoUseIsAnErrorAndChangesNothing(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	must(t, connect(t, p.Addr), "GET", "k")
	p.mergeOnce()
	before := p.hotText(t)
	for _, state := range brokenStates {
		require.ErrorContains(t, p.ImportState([]byte(state)), "import state of test", state)
	}
	assert.JSONEq(t, before, p.hotText(t))
	assert.Nil(t, p.tracking.last)
	require.NoError(t, p.ImportState([]byte(goodTracking(`"count":64`))))
	assert.NotNil(t, p.tracking.last)
}

func FuzzState(f *testing.F) {
	for _, state := range brokenStates {
		f.Add([]byte(state))
	}
	f.Add([]byte(goodTracking(`"slots":[[0,16383],[3,4]]`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data)
		if err != nil || s.Tracking == nil {
			return
		}
		h := s.Tracking.session()
		r := h.sum(nil)
		assert.NotEmpty(t, appendTracked(nil, h, r, true, true))
		assert.LessOrEqual(t, len(r.ByBytes), mostTrackedKeys)
	})
}

func TestHitsThatAnExportCutsAreInTheTotals(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	must(t, connect(t, p.Addr), "GET", "k")
	assert.Zero(t, p.sample(t, "hotkeys.hits_total").Value)
	_, err := p.ExportState()
	require.NoError(t, err)
	assert.EqualValues(t, 1, p.sample(t, "hotkeys.hits_total").Value)
}
