package redis

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"samaritan/hotkey"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
)

// subcommand looks up "container|sub".
func subcommand(t testing.TB, name string) *command.Info {
	t.Helper()
	container, sub, _ := strings.Cut(name, "|")
	i := command.Lookup([]byte(container)).Sub([]byte(sub))
	require.NotNil(t, i, name)
	return i
}

// fieldsOf is what HOTKEYS GET answers for a session.
func fieldsOf(t testing.TB, reply any) map[string]any {
	t.Helper()
	require.Len(t, reply, 1)
	list := reply.([]any)[0].([]any)
	require.Zero(t, len(list)%2)
	m := make(map[string]any, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m
}

// namesOf is the names of the fields in order.
func namesOf(reply any) []string {
	var names []string
	for i, v := range reply.([]any)[0].([]any) {
		if i%2 == 0 {
			names = append(names, v.(string))
		}
	}
	return names
}

// pairsOf is keys and values that stand by turns.
func pairsOf(t testing.TB, list any) map[string]int64 {
	t.Helper()
	m := make(map[string]int64)
	for l := list.([]any); len(l) > 0; l = l[2:] {
		m[l[0].(string)] = l[1].(int64)
	}
	return m
}

// onThreeNodes are keys of different masters of a cluster of three.
var onThreeNodes = []string{key(100, "a"), key(8000, "b"), key(16000, "c")}

// typed is a session as two client libraries have it.
type typed struct {
	start func() error
	get   func() *goredis.HotKeysResult
	stop  func() error
	reset func() error
}

func typedGoRedis(t *testing.T, addr string, proto int) typed {
	c := goredis.NewClient(&goredis.Options{Addr: addr, Protocol: proto})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	ctx := t.Context()
	return typed{
		start: func() error {
			return c.HotKeysStart(ctx, &goredis.HotKeysStartArgs{
				Metrics: []goredis.HotKeysMetric{goredis.HotKeysMetricCPU, goredis.HotKeysMetricNET}, Count: 12,
			}).Err()
		},
		get: func() *goredis.HotKeysResult {
			v, err := c.HotKeysGet(ctx).Result()
			require.NoError(t, err)
			return v
		},
		stop:  func() error { return c.HotKeysStop(ctx).Err() },
		reset: func() error { return c.HotKeysReset(ctx).Err() },
	}
}

func TestHotkeysOfGoRedis(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run("RESP"+strconv.Itoa(proto), func(t *testing.T) {
			p, _ := sharedProxy(t)
			c := typedGoRedis(t, p.Addr, proto)
			require.ErrorIs(t, c.stop(), goredis.Nil)
			require.NoError(t, c.reset())
			require.Nil(t, c.get())
			before := time.Now()
			require.NoError(t, c.start())
			require.ErrorContains(t, c.start(), "a HOTKEYS session is active already, stop it first")
			require.ErrorContains(t, c.reset(), "a HOTKEYS session is active, stop it first")
			useThreeNodes(t, p)

			got := c.get()
			assert.True(t, got.TrackingActive)
			checkThreeNodes(t, got)
			assert.WithinRange(t, got.CollectionStartTime, before.Add(-time.Millisecond), time.Now())
			require.NoError(t, c.stop())
			require.ErrorIs(t, c.stop(), goredis.Nil)
			must(t, connect(t, p.Addr), "SET", onThreeNodes[0], strings.Repeat("x", 1<<20))
			after := c.get()
			assert.False(t, after.TrackingActive)
			checkThreeNodes(t, after)
			assert.Equal(t, after, c.get(), "the result stays as it is")
			require.NoError(t, c.reset())
			require.Nil(t, c.get())
			require.NoError(t, c.start(), "after RESET")
			require.NoError(t, c.stop())
			require.NoError(t, c.start(), "over an old result")
			require.NoError(t, c.stop())
		})
	}
}

// useThreeNodes writes 100 times 10,000 bytes to one key, 50 times to a second and 25
// times to a third, each on another master, and asks for a missing one.
func useThreeNodes(t *testing.T, p *testProxy) {
	t.Helper()
	c := connect(t, p.Addr)
	value := strings.Repeat("v", 10_000)
	for i := range 100 {
		must(t, c, "SET", onThreeNodes[0], value)
		if i%2 == 0 {
			must(t, c, "SET", onThreeNodes[1], value)
		}
		if i%4 == 0 {
			must(t, c, "SET", onThreeNodes[2], value)
		}
	}
	must(t, c, "GET", "missing")
}

func checkThreeNodes(t *testing.T, got *goredis.HotKeysResult) {
	t.Helper()
	assert.EqualValues(t, 1, got.SampleRatio)
	assert.Equal(t, []goredis.HotKeysSlotRange{{0, 16383}}, got.SelectedSlots)
	require.Len(t, got.ByNetBytes, 4)
	require.Len(t, got.ByCPUTime, 4)
	var bytes, micros int64
	for i, want := range append(onThreeNodes[:3:3], "missing") {
		assert.Equal(t, want, got.ByNetBytes[i].Key)
		assert.Equal(t, want, got.ByCPUTime[i].Key)
		bytes += got.ByNetBytes[i].Value.(int64)
		micros += got.ByCPUTime[i].Value.(int64)
	}
	for i, n := range []int64{100, 50, 25} {
		each := int64(len("*3\r\n$3\r\nSET\r\n$x\r\n\r\n$10000\r\n\r\n+OK\r\n") + len(onThreeNodes[i]) + 10_000)
		assert.InDelta(t, n*each, got.ByNetBytes[i].Value, float64(2*n))
	}
	assert.Equal(t, int64(bytes), got.NetBytesAllCommandsAllSlots)
	assert.Equal(t, int64(bytes), got.TotalNetBytes)
	all := got.AllCommandsAllSlots.Microseconds()
	assert.Positive(t, micros)
	assert.InDelta(t, all, micros, 4, "every command has a key")
	first := got.ByCPUTime[0].Value.(int64)
	assert.InEpsilon(t, float64(all)*100/175, first, 0.05)
	assert.GreaterOrEqual(t, got.CollectionDuration, time.Duration(0))
}

func TestHotkeysOfRueidis(t *testing.T) {
	for name, resp2 := range map[string]bool{"RESP2": true, "RESP3": false} {
		t.Run(name, func(t *testing.T) {
			p, _ := sharedProxy(t)
			c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.Addr}, AlwaysRESP2: resp2, DisableCache: true, ForceSingleClient: true})
			require.NoError(t, err)
			defer c.Close()
			ctx := t.Context()
			slot := int64(100)
			require.NoError(t, c.Do(ctx, c.B().HotkeysStart().Metrics().Count(2).Cpu().Net().Count(5).Duration(600).Sample(1).
				Slots().Count(1).Slot(slot).Build()).Error())
			useThreeNodes(t, p)
			list, err := c.Do(ctx, c.B().HotkeysGet().Build()).ToArray()
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Equal(t, !resp2, list[0].IsMap())
			m, err := list[0].AsMap()
			require.NoError(t, err)
			top := m["by-net-bytes"]
			keys, err := top.ToArray()
			require.NoError(t, err)
			require.Len(t, keys, 2)
			first, err := keys[0].ToString()
			require.NoError(t, err)
			assert.Equal(t, onThreeNodes[0], first)
			require.NoError(t, c.Do(ctx, c.B().HotkeysStop().Build()).Error())
			require.NoError(t, c.Do(ctx, c.B().HotkeysReset().Build()).Error())
		})
	}
}

func TestHotkeysOfRedisCli(t *testing.T) {
	p, _ := sharedProxy(t)
	_, port, _ := strings.Cut(p.Addr, ":")
	cli := func(args ...string) string {
		out, err := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	assert.Equal(t, "OK", cli("HOTKEYS", "START", "METRICS", "2", "CPU", "NET"))
	cli("SET", "some key", "v")
	lines := strings.Split(cli("--raw", "HOTKEYS", "GET"), "\n")
	assert.Equal(t, []string{"tracking-active", "1", "sample-ratio", "1", "selected-slots", "0", "16383"}, lines[:7])
	assert.Contains(t, lines, "some key")
	assert.Contains(t, cli("-3", "--no-raw", "HOTKEYS", "GET"), "\"by-net-bytes\" => \n       1) \"some key\"\n       2) (integer) 39")
	assert.Equal(t, "OK", cli("HOTKEYS", "STOP"))
	assert.Equal(t, "OK", cli("HOTKEYS", "RESET"))
}

func TestHotkeysCountsEveryKeyOfACommandThatIsCut(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "NET")
	args := cmd("MSET")
	for _, k := range onThreeNodes {
		args = append(args, k, strings.Repeat("v", 1000), k+"2", strings.Repeat("v", 1000))
	}
	must(t, c, args...)
	list := cmd("MGET", key(5, "absent"))
	for _, k := range onThreeNodes {
		list = append(list, k, k+"2")
	}
	must(t, c, list...)
	must(t, c, "EXISTS", key(5, "other"))
	found := pairsOf(t, fieldsOf(t, must(t, c, "HOTKEYS", "GET"))["by-net-bytes"])
	assert.Len(t, found, 8)
	for _, k := range onThreeNodes {
		assert.InDelta(t, 2050, found[k], 100)
		assert.InDelta(t, 2050, found[k+"2"], 100)
	}
	must(t, c, "HOTKEYS", "STOP")
}

func TestHotkeysHasTheFieldsThatWereAskedFor(t *testing.T) {
	const head, times = "tracking-active sample-ratio selected-slots ", "collection-start-time-unix-ms collection-duration-ms "
	for args, want := range map[string]string{
		"METRICS 1 CPU": head + "all-commands-all-slots-us " + times + "total-cpu-time-user-ms total-cpu-time-sys-ms used-cpu-user-ms used-cpu-sys-ms by-cpu-time-us",
		"METRICS 1 NET": head + "net-bytes-all-commands-all-slots " + times + "total-net-bytes by-net-bytes",
		"METRICS 2 CPU NET SAMPLE 2": head + "all-commands-all-slots-us net-bytes-all-commands-all-slots " + times +
			"total-cpu-time-user-ms total-cpu-time-sys-ms used-cpu-user-ms used-cpu-sys-ms total-net-bytes by-cpu-time-us by-net-bytes",
		"METRICS 1 CPU SLOTS 1 0": head + "all-commands-selected-slots-us all-commands-all-slots-us " + times +
			"total-cpu-time-user-ms total-cpu-time-sys-ms used-cpu-user-ms used-cpu-sys-ms by-cpu-time-us",
		"METRICS 2 NET CPU SLOTS 2 0 1 SAMPLE 3": head +
			"sampled-commands-selected-slots-us all-commands-selected-slots-us all-commands-all-slots-us " +
			"net-bytes-sampled-commands-selected-slots net-bytes-all-commands-selected-slots net-bytes-all-commands-all-slots " +
			times + "total-cpu-time-user-ms total-cpu-time-sys-ms used-cpu-user-ms used-cpu-sys-ms total-net-bytes by-cpu-time-us by-net-bytes",
	} {
		p, _ := sharedProxy(t)
		c := connect(t, p.Addr)
		var all []any
		for _, a := range strings.Fields("HOTKEYS START " + args) {
			all = append(all, a)
		}
		assert.Equal(t, "OK", must(t, c, all...))
		assert.Equal(t, strings.Fields(want), namesOf(must(t, c, "HOTKEYS", "GET")), args)
		must(t, c, "HOTKEYS", "STOP")
		assert.Equal(t, strings.Fields(want), namesOf(must(t, c, "HOTKEYS", "GET")), args)
	}
}

func TestHotkeysLooksAtSelectedSlots(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 2, "NET", "CPU", "SLOTS", 4, 16000, 101, 100, 5)
	for _, k := range onThreeNodes {
		must(t, c, "SET", k, strings.Repeat("v", 1000))
	}
	m := fieldsOf(t, must(t, c, "HOTKEYS", "GET"))
	assert.Equal(t, []any{[]any{int64(5)}, []any{int64(100), int64(101)}, []any{int64(16000)}}, m["selected-slots"])
	found := pairsOf(t, m["by-net-bytes"])
	assert.Len(t, found, 2)
	assert.Contains(t, found, onThreeNodes[0])
	assert.Contains(t, found, onThreeNodes[2])
	assert.EqualValues(t, found[onThreeNodes[0]]+found[onThreeNodes[2]], m["net-bytes-all-commands-selected-slots"])
	assert.Greater(t, m["net-bytes-all-commands-all-slots"], m["net-bytes-all-commands-selected-slots"])
	assert.GreaterOrEqual(t, m["all-commands-all-slots-us"], m["all-commands-selected-slots-us"])
	must(t, c, "HOTKEYS", "STOP")
}

func TestHotkeysScalesASample(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "NET", "SAMPLE", 10, "SLOTS", 1, 100)
	const n = 10_000
	get := cmd("GET", onThreeNodes[0])
	for range n / 500 {
		batch := make([][]any, 500)
		for i := range batch {
			batch[i] = get
		}
		require.NoError(t, c.Send(batch...))
		receive(t, c, len(batch))
	}
	m := fieldsOf(t, must(t, c, "HOTKEYS", "GET"))
	assert.EqualValues(t, 10, m["sample-ratio"])
	all := m["net-bytes-all-commands-all-slots"].(int64)
	assert.Equal(t, all, m["net-bytes-all-commands-selected-slots"])
	assert.InEpsilon(t, all/10, m["net-bytes-sampled-commands-selected-slots"], 0.25)
	assert.InEpsilon(t, all, pairsOf(t, m["by-net-bytes"])[onThreeNodes[0]], 0.25)
	must(t, c, "HOTKEYS", "STOP")
}

func TestHotkeysEndsAfterItsDuration(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 1)
	must(t, c, "SET", "k", "v")
	must(t, c, "HOTKEYS", "STOP") // its timer must not end the next one
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 1)
	must(t, c, "SET", "k", "v")
	eventually(t, func() bool { return fieldsOf(t, must(t, c, "HOTKEYS", "GET"))["tracking-active"] == int64(0) }, "it ends by itself")
	m := fieldsOf(t, must(t, c, "HOTKEYS", "GET"))
	assert.InDelta(t, 1000, m["collection-duration-ms"], 500)
	assert.GreaterOrEqual(t, m["collection-duration-ms"], int64(1000))
	assert.Contains(t, pairsOf(t, m["by-net-bytes"]), "k")
	assert.Nil(t, must(t, c, "HOTKEYS", "STOP"))
	for _, counts := range askWorkers(p.Proc, func(w *worker) bool { return w.tracker != nil }) {
		assert.False(t, counts)
	}
}

func TestHotkeysSessionEndsWithItsService(t *testing.T) {
	p, _ := sharedProxy(t)
	must(t, connect(t, p.Addr), "HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 100_000)
	p.Stop()
}

func TestHotkeysSessionIsTheServicesNotTheClients(t *testing.T) {
	p, _ := sharedProxy(t)
	other, _ := sharedProxy(t)
	first := connect(t, p.Addr)
	must(t, first, "HOTKEYS", "START", "METRICS", 1, "NET")
	require.NoError(t, first.Close())
	require.NoError(t, p.Update(p.svc.Load()))
	must(t, connect(t, other.Addr), "SET", "theirs", "v")
	c := connect(t, p.Addr)
	must(t, c, "SET", "ours", "v")
	errorOf(t, c, "HOTKEYS", "START", "METRICS", 1, "NET")
	found := pairsOf(t, fieldsOf(t, must(t, c, "HOTKEYS", "GET"))["by-net-bytes"])
	assert.Contains(t, found, "ours")
	assert.NotContains(t, found, "theirs")
	assert.Nil(t, must(t, connect(t, other.Addr), "HOTKEYS", "STOP"))
	must(t, c, "HOTKEYS", "STOP")
}

func TestHotkeysAsksWorkersThatComeLater(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "NET")
	l, err := eventloop.New()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	w := p.worker(l)
	counted := make(chan struct{})
	l.Post(func() {
		w.tracker.found.Request(1, 10)
		w.tracker.found.Key([]byte("k"), 10, 1)
		close(counted)
	})
	<-counted
	must(t, c, "SET", "k", "v")
	m := fieldsOf(t, must(t, c, "HOTKEYS", "GET"))
	assert.EqualValues(t, 10+len("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n+OK\r\n"), pairsOf(t, m["by-net-bytes"])["k"])
	must(t, c, "HOTKEYS", "STOP")
	assert.Equal(t, []bool{false, false}, askWorkers(p.Proc, func(w *worker) bool { return w.tracker != nil }))
	p.Stop()
	stop()
	<-ended
}

// Clients that start, read and end sessions at the same time get one of the answers
// that are right, and leave nothing behind.
func TestHotkeysOfManyClientsAtOnce(t *testing.T) {
	p, _ := sharedProxy(t)
	done := make(chan struct{}, 4)
	for i := range cap(done) {
		c := connect(t, p.Addr)
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range 50 {
				batch := [][]any{
					cmd("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "DURATION", 1), cmd("SET", "k"+strconv.Itoa(i), j),
					cmd("HOTKEYS", "GET"), cmd("HOTKEYS", "STOP"), cmd("HOTKEYS", "RESET"),
				}
				if !assert.NoError(t, c.Send(batch...)) {
					return
				}
				for range batch {
					_, _ = c.Receive()
				}
			}
		}()
	}
	for range cap(done) {
		<-done
	}
	c := connect(t, p.Addr)
	must(t, c, "HOTKEYS", "STOP")
	must(t, c, "HOTKEYS", "RESET")
	assert.Equal(t, "PONG", must(t, c, "PING"))
}

func TestHotkeysErrors(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	for line, want := range startErrors {
		args := cmd("HOTKEYS", "START")
		for _, a := range strings.Fields(line) {
			args = append(args, a)
		}
		assert.Equal(t, "ERR "+want, errorOf(t, c, args...), line)
	}
	for _, sub := range []string{"get", "stop", "reset", "help"} {
		assert.Equal(t, "ERR wrong number of arguments for 'hotkeys|"+sub+"' command", errorOf(t, c, "HOTKEYS", sub, "x"))
	}
	assert.Contains(t, errorOf(t, c, "HOTKEYS", "x"), "ERR unknown subcommand 'x'")
	assert.Equal(t, []any{}, must(t, c, "HOTKEYS", "GET"), "no session has begun")
}

func TestHotkeysWithoutASessionHasValkeysShape(t *testing.T) {
	r := &hotkey.Report{Keys: []hotkey.Key{{Name: hotkey.Name("a\nb"), QPS: 2.5, Count: 9}, {Name: hotkey.Name("c"), Count: 1}, {Name: hotkey.Name("was hot")}}}
	assert.Equal(t, "*2\r\n%3\r\n$3\r\nkey\r\n$3\r\na\nb\r\n$2\r\ndb\r\n:0\r\n$3\r\nqps\r\n:3\r\n"+
		"%3\r\n$3\r\nkey\r\n$1\r\nc\r\n$2\r\ndb\r\n:0\r\n$3\r\nqps\r\n:0\r\n", string(appendHotList(nil, r, true)))
	assert.Equal(t, "*2\r\n*6\r\n$3\r\nkey\r\n", string(appendHotList(nil, r, false)[:17]))
	assert.Equal(t, "*0\r\n", string(appendHotList(nil, nil, true)))
}

func TestHotkeysWithoutASessionTellsWhatIsHot(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	for range 50 {
		must(t, c, "SET", onThreeNodes[0], "v")
		must(t, c, "GET", onThreeNodes[0])
		must(t, c, "GET", onThreeNodes[2])
	}
	p.mergeOnce()
	ask := func() {
		list := must(t, c, "HOTKEYS", "GET").([]any)
		require.Len(t, list, 2)
		for i, want := range []string{onThreeNodes[0], onThreeNodes[2]} {
			m := list[i].([]any)
			require.Len(t, m, 6)
			assert.Equal(t, []any{"key", want, "db", int64(0), "qps"}, m[:5])
			assert.Positive(t, m[5])
		}
	}
	ask()
	must(t, c, "HELLO", 3)
	ask()
	must(t, c, "HOTKEYS", "START", "METRICS", 1, "CPU")
	must(t, c, "HOTKEYS", "STOP")
	assert.Contains(t, fieldsOf(t, must(t, c, "HOTKEYS", "GET")), "by-cpu-time-us")
	must(t, c, "HOTKEYS", "RESET")
	ask()
}

func TestFiltersSeeRequestsOfClientsOnly(t *testing.T) {
	for _, kind := range []kind{kindLocal, kindSplit, kindScan, kindScanRun, kindScanState, kindScanOwner, kindScanCheck, kindDropped} {
		assert.False(t, (&request{info: pingInfo, kind: kind}).filtered())
	}
	assert.False(t, (&request{kind: kindPlain}).filtered(), "no command of a client")
	assert.True(t, (&request{info: pingInfo, kind: kindPlain}).filtered())
	assert.True(t, (&request{info: pingInfo, kind: kindPart}).filtered())
}
