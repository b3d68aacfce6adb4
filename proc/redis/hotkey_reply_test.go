package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/hotkey"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/resp"
)

// sampleReport has a binary key, a key that is longer than what is kept of it, and one
// that has no hits left.
func sampleReport() *hotkey.Report {
	at := time.UnixMilli(1_700_000_000_000).In(time.FixedZone("", 3600))
	return &hotkey.Report{
		Time: at, Interval: 10 * time.Second, Window: 20 * time.Second, Hits: 5000, QPS: 250.5, SampleRate: 0.25, Tracked: 9,
		Keys: []hotkey.Key{
			{
				Name: hotkey.Name("k\xff\n"), Length: 3, Hash: "00c0ffee00c0ffee", Slot: 7, Node: "10.0.0.1:7000", Heat: 9,
				QPS: 100.123456789, Peak: 200, Count: 2000, Error: 3, SamplingError: 180, NodeShare: 0.75, Share: 0.4,
				Reads: 1500, Writes: 500, Commands: []hotkey.Part{{Name: "get", Hits: 1500}, {Name: "set", Hits: 500}},
				Clients: []hotkey.Part{{Name: "10.0.0.9", Hits: 2000}}, BytesIn: 60000, BytesOut: 1 << 33,
				FirstSeen: at.Add(-time.Hour), LastSeen: at,
			},
			{Name: hotkey.Name(strings.Repeat("l", hotkey.KeyMax)), Length: 1000, Heat: 31, Count: 20, FirstSeen: at, LastSeen: at},
			{Name: hotkey.Name{}, Heat: 9, FirstSeen: at, LastSeen: at},
		},
		SlotsByRequests: []hotkey.Slot{{Slot: 7, Requests: 1000, Writes: 250, Bytes: 4096, QPS: 100}, {Slot: 16383, Requests: 1}},
		SlotsByBytes:    []hotkey.Slot{{Slot: 16383, Bytes: 9}},
		Values:          []hotkey.Value{{Key: hotkey.Name("a\x00b"), Length: 3, Command: "mget", Size: 2 << 20, Slot: 7, Seen: at}, {}},
	}
}

// respOf writes RESP from a short form: a word that begins with ! is a line as it is
// sent, every other one a bulk string.
func respOf(words ...string) string {
	var b []byte
	for _, w := range words {
		if strings.HasPrefix(w, "!") {
			b = append(append(b, w[1:]...), "\r\n"...)
			continue
		}
		b = resp.AppendBulkString(b, w)
	}
	return string(b)
}

// bothProtocols calls f for RESP2 and RESP3. header gives the form of a map's header,
// double that of a number.
func bothProtocols(t *testing.T, f func(t *testing.T, resp3 bool, header func(n int) string, double func(string) string)) {
	t.Run("RESP2", func(t *testing.T) {
		f(t, false, func(n int) string { return fmt.Sprintf("!*%d", 2*n) }, func(s string) string { return s })
	})
	t.Run("RESP3", func(t *testing.T) {
		f(t, true, func(n int) string { return fmt.Sprintf("!%%%d", n) }, func(s string) string { return "!," + s })
	})
}

func TestHotTextIsWhatScriptsParse(t *testing.T) {
	long := strings.Repeat("l", hotkey.KeyMax)
	text := "Collect 3 keys in this period!\n" +
		"counter: 31  keyname: " + long + "\n" +
		"counter: 9  keyname: \"k\\xff\\n\"\n" +
		"counter: 9  keyname: \"\"\n"
	got := appendHotText([]byte("x"), sampleReport(), false)
	assert.Equal(t, fmt.Sprintf("x$%d\r\n%s\r\n", len(text), text), string(got))
	got = appendHotText(nil, sampleReport(), true)
	assert.Equal(t, fmt.Sprintf("=%d\r\ntxt:%s\r\n", len(text)+4, text), string(got))
	assert.Equal(t, "$31\r\nCollect 0 keys in this period!\n\r\n", string(appendHotText(nil, noHotKeys, false)))
}

func TestHotTextOrdersByCounterAndThenByHits(t *testing.T) {
	keys := []hotkey.Key{{Name: hotkey.Name("a"), Heat: 1, Count: 9}, {Name: hotkey.Name("b"), Heat: 2, Count: 1}, {Name: hotkey.Name("c"), Heat: 2, Count: 7}, {Name: hotkey.Name("d"), Heat: 255}}
	out := string(appendHotText(nil, &hotkey.Report{Keys: keys}, false))
	assert.Contains(t, out, "counter: 255  keyname: d\ncounter: 2  keyname: c\ncounter: 2  keyname: b\ncounter: 1  keyname: a\n")
	assert.Equal(t, "a", keys[0].Name.String(), "the report is left as it is")
}

func TestHotKeysByteForByte(t *testing.T) {
	bothProtocols(t, func(t *testing.T, resp3 bool, header func(int) string, double func(string) string) {
		want := respOf("!*1", header(24), "key", "k\xff\n", "key-length", "!:3", "key-hash", "00c0ffee00c0ffee", "counter", "!:9",
			"qps", double("100.123457"), "peak-qps", double("200"), "count", "!:2000", "error", "!:3", "sampling-error", "!:180",
			"node-share", double("0.75"), "share", double("0.4"), "reads", "!:1500", "writes", "!:500",
			"commands", header(2), "get", "!:1500", "set", "!:500", "clients", header(1), "10.0.0.9", "!:2000",
			"bytes-in", "!:60000", "bytes-out", "!:8589934592", "slot", "!:7", "node", "10.0.0.1:7000",
			"first-seen-unix-ms", "!:1699996400000", "last-seen-unix-ms", "!:1700000000000",
			"report-unix-ms", "!:1700000000000", "window-ms", "!:20000", "sample-rate", double("0.25"))
		assert.Equal(t, "x"+want, string(appendHotKeys([]byte("x"), sampleReport(), 1, resp3)))
	})
}

func TestHotSlotsByteForByte(t *testing.T) {
	owner := func(slot int) string { return map[int]string{7: "10.0.0.1:7000"}[slot] }
	bothProtocols(t, func(t *testing.T, resp3 bool, header func(int) string, double func(string) string) {
		want := respOf("!*2",
			header(6), "slot", "!:7", "node", "10.0.0.1:7000", "requests", "!:1000", "writes", "!:250", "bytes", "!:4096", "qps", double("100"),
			header(6), "slot", "!:16383", "node", "", "requests", "!:1", "writes", "!:0", "bytes", "!:0", "qps", double("0"))
		assert.Equal(t, want, string(appendHotSlots(nil, sampleReport().SlotsByRequests, 0, owner, resp3)))
	})
}

func TestHotValuesByteForByte(t *testing.T) {
	bothProtocols(t, func(t *testing.T, resp3 bool, header func(int) string, _ func(string) string) {
		want := respOf("!*1", header(6), "key", "a\x00b", "key-length", "!:3", "size", "!:2097152", "command", "mget", "slot", "!:7",
			"seen-unix-ms", "!:1700000000000")
		assert.Equal(t, want, string(appendHotValues(nil, sampleReport().Values, 1, resp3)))
	})
}

func TestCountBoundsTheList(t *testing.T) {
	r := sampleReport()
	for _, tt := range []struct{ count, want int }{{0, 3}, {1, 1}, {3, 3}, {4, 3}} {
		v, rest, err := resp.ParseValue(appendHotKeys(nil, r, tt.count, true))
		require.NoError(t, err)
		assert.Empty(t, rest)
		assert.Len(t, v.Elems, tt.want)
	}
	for _, resp3 := range []bool{false, true} {
		assert.Equal(t, "*0\r\n", string(appendHotKeys(nil, noHotKeys, 5, resp3)))
		assert.Equal(t, "*0\r\n", string(appendHotSlots(nil, nil, 5, nil, resp3)))
		assert.Equal(t, "*0\r\n", string(appendHotValues(nil, nil, 5, resp3)))
	}
}

// fixed is a server that knows one answer to HOTKEY and errors for all else, in the
// protocol of HELLO.
func fixed(t *testing.T, answer func(resp3 bool) []byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				defer conn.Close()
				serveFixed(conn, answer)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

func serveFixed(conn net.Conn, answer func(resp3 bool) []byte) {
	var p resp.Parser
	var in []byte
	resp3 := false
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for len(in) > 0 {
			n, err := p.Parse(in)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			out := []byte("-ERR unknown command\r\n")
			switch name := strings.ToLower(string(argument(in, p.Args, 0))); {
			case name == "hotkey":
				out = answer(resp3)
			case name == "hello" && len(p.Args) > 1:
				resp3 = string(argument(in, p.Args, 1)) == "3"
				out = append(resp.AppendMapHeader(nil, 1, resp3), respOf("proto", "!:3")...)
			}
			if _, err := conn.Write(out); err != nil {
				return
			}
			in = in[n:]
			p.Reset()
		}
	}
}

func TestLibrariesReadHotKeys(t *testing.T) {
	addr := fixed(t, func(resp3 bool) []byte { return appendHotKeys(nil, sampleReport(), 0, resp3) })
	for _, protocol := range []int{2, 3} {
		client := goredis.NewClient(&goredis.Options{Addr: addr, Protocol: protocol})
		keys, err := client.Do(t.Context(), "HOTKEY", "LIST").Slice()
		require.NoError(t, err)
		require.Len(t, keys, 3)
		k := asMap(t, keys[0])
		assert.Equal(t, "k\xff\n", k["key"])
		assert.Equal(t, int64(8589934592), k["bytes-out"])
		assert.Equal(t, map[any]any{"get": int64(1500), "set": int64(500)}, asMap(t, k["commands"]))
		if protocol == 3 {
			assert.Equal(t, 100.123457, k["qps"])
		} else {
			assert.Equal(t, "100.123457", k["qps"])
		}
		assert.Empty(t, asMap(t, asMap(t, keys[2])["clients"]))
		require.NoError(t, client.Close())
	}
}

func TestRedisCLIShowsHotKeys(t *testing.T) {
	text := fixed(t, func(resp3 bool) []byte { return appendHotText(nil, sampleReport(), resp3) })
	for _, version := range []string{"-2", "-3"} {
		lines := strings.Split(redisCLI(t, text, version, "HOTKEY"), "\n")
		assert.Equal(t, "Collect 3 keys in this period!", lines[0])
		assert.Equal(t, `counter: 9  keyname: "k\xff\n"`, lines[2])
	}
	keys := fixed(t, func(resp3 bool) []byte { return appendHotKeys(nil, sampleReport(), 1, resp3) })
	assert.Contains(t, redisCLI(t, keys, "-3", "--no-raw", "HOTKEY", "LIST"), `1# "key" => "k\xff\n"`)
	assert.Contains(t, redisCLI(t, keys, "-2", "--no-raw", "HOTKEY", "LIST"), `2) "k\xff\n"`)
}

func redisCLI(t *testing.T, addr string, args ...string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	out, err := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestHotKeysAsJSON(t *testing.T) {
	m, err := cluster.ParseNodes([]byte("07c37df 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-100\n"), "10.0.0.1:7000")
	require.NoError(t, err)
	r := sampleReport()
	b, err := json.Marshal(newHotKeysView("orders", true, r, 1, m))
	require.NoError(t, err)
	assert.JSONEq(t, `{"service":"orders","enabled":true,"time":"2023-11-14T22:13:20Z","interval_ms":10000,"window_ms":20000,
		"hits":5000,"qps":250.5,"sample_rate":0.25,"tracked":9,
		"keys":[{"key":"\"k\\xff\\n\"","key_length":3,"key_hash":"00c0ffee00c0ffee","slot":7,"node":"10.0.0.1:7000","counter":9,
			"qps":100.123456789,"peak_qps":200,"count":2000,"error":3,"sampling_error":180,"node_share":0.75,"share":0.4,
			"reads":1500,"writes":500,"commands":[{"name":"get","hits":1500},{"name":"set","hits":500}],
			"clients":[{"name":"10.0.0.9","hits":2000}],"bytes_in":60000,"bytes_out":8589934592,
			"first_seen":"2023-11-14T21:13:20Z","last_seen":"2023-11-14T22:13:20Z"}],
		"slots_by_requests":[{"slot":7,"node":"10.0.0.1:7000","requests":1000,"writes":250,"bytes":4096,"qps":100},
			{"slot":16383,"requests":1,"writes":0,"bytes":0,"qps":0}],
		"slots_by_bytes":[{"slot":16383,"requests":0,"writes":0,"bytes":9,"qps":0}],
		"largest_values":[{"key":"\"a\\x00b\"","key_length":3,"command":"mget","size":2097152,"slot":7,"seen":"2023-11-14T22:13:20Z"},
			{"key":"\"\"","key_length":0,"command":"","size":0,"slot":0,"seen":"0001-01-01T00:00:00Z"}]}`, string(b))
	assert.Equal(t, sampleReport(), r, "the report is left as it is")
}

func TestHotKeysAsJSONHasNoNull(t *testing.T) {
	b, err := json.Marshal(newHotKeysView("s", false, noHotKeys, 0, nil))
	require.NoError(t, err)
	assert.JSONEq(t, `{"service":"s","enabled":false,"interval_ms":0,"window_ms":0,"hits":0,"qps":0,"sample_rate":1,"tracked":0,
		"keys":[],"slots_by_requests":[],"slots_by_bytes":[],"largest_values":[]}`, string(b))
	b, err = json.Marshal(newHotKeysView("s", true, sampleReport(), 0, nil))
	require.NoError(t, err)
	assert.False(t, bytes.Contains(b, []byte("null")), "%s", b)
}
