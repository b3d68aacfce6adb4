package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/redis"
	"samaritan/config"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

func TestHotkeyOptions(t *testing.T) {
	for _, tt := range []struct {
		line, problem string
		slots         hotkeyOptions // as HOTKEY SLOTS takes it
		list          string        // what is wrong for HOTKEY LIST, if it is something else
	}{
		{line: ""},
		{line: "COUNT 3", slots: hotkeyOptions{count: 3}},
		{line: "count 1", slots: hotkeyOptions{count: 1}},
		{line: "COUNT 3 Count 4", slots: hotkeyOptions{count: 4}},
		{line: "COUNT 9223372036854775807", slots: hotkeyOptions{count: 9223372036854775807}},
		{line: "BYTES", slots: hotkeyOptions{bytes: true}, list: errSyntax},
		{line: "bytes COUNT 2", slots: hotkeyOptions{count: 2, bytes: true}, list: errSyntax},
		{line: "COUNT 2 Bytes", slots: hotkeyOptions{count: 2, bytes: true}, list: errSyntax},
		{line: "COUNT", problem: errSyntax},
		{line: "COUNT 3 COUNT", problem: errSyntax},
		{line: "3", problem: errSyntax},
		{line: "COUNT 3 x", problem: errSyntax},
		{line: "COUNT x", problem: errInteger},
		{line: "COUNT 1.5", problem: errInteger},
		{line: "COUNT 9223372036854775808", problem: errInteger},
		{line: "COUNT 0", problem: errCount},
		{line: "COUNT -1", problem: errCount},
	} {
		var p resp.Parser
		frame := resp.AppendCommand(nil, append([]string{"HOTKEY", "SLOTS"}, strings.Fields(tt.line)...)...)
		_, err := p.Parse(frame)
		require.NoError(t, err)
		o, problem := parseHotkeyOptions(frame, p.Args[2:], true)
		assert.Equal(t, tt.problem, problem, tt.line)
		if problem == "" {
			assert.Equal(t, tt.slots, o, tt.line)
		}
		want := tt.problem
		if tt.list != "" {
			want = tt.list
		}
		_, problem = parseHotkeyOptions(frame, p.Args[2:], false)
		assert.Equal(t, want, problem, tt.line)
	}
}

func TestHotkeyBeforeTheFirstInterval(t *testing.T) {
	proxy, _ := localBackend(t)
	lines := "HOTKEY\nHOTKEY LIST\nHOTKEY LIST COUNT 3\nHOTKEY SLOTS\nHOTKEY SLOTS BYTES\nHOTKEY BIG COUNT 1\nHOTKEY RESET"
	const rest = "*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n+OK\r\n"
	assert.Equal(t, "$31\r\nCollect 0 keys in this period!\n\r\n"+rest, script(t, proxy, lines))
	out := script(t, proxy, "HELLO 3\n"+lines)
	assert.True(t, strings.HasSuffix(out, "=35\r\ntxt:Collect 0 keys in this period!\n\r\n"+rest), "%q", out)
}

func TestHotkeyErrors(t *testing.T) {
	proxy, _ := localBackend(t)
	for _, tt := range []struct{ line, want string }{
		{"HOTKEY nothing", "ERR unknown subcommand 'nothing'. Try HOTKEY HELP."},
		{"hotkey LIST COUNT", errSyntax},
		{"HOTKEY LIST BYTES", errSyntax},
		{"HOTKEY BIG BYTES", errSyntax},
		{"HOTKEY SLOTS COUNT x", errInteger},
		{"HOTKEY BIG COUNT 0", errCount},
		{"HOTKEY RESET x", "ERR wrong number of arguments for 'hotkey|reset' command"},
		{"HOTKEY HELP x", "ERR wrong number of arguments for 'hotkey|help' command"},
	} {
		assert.Equal(t, "-"+tt.want+"\r\n", script(t, proxy, tt.line), tt.line)
	}
}

func TestHotkeyHelpNamesEverySubcommand(t *testing.T) {
	p, _ := sharedProxy(t)
	lines := fmt.Sprint(must(t, connect(t, p.Addr), "HOTKEY", "HELP"))
	for _, sub := range command.Lookup([]byte("hotkey")).Subcommands {
		_, name, _ := strings.Cut(sub.Name, "|")
		assert.Contains(t, lines, strings.ToUpper(name))
	}
}

// Real traffic through to what a client library makes of the answers.
func TestHotkeyShowsWhatClientsUse(t *testing.T) {
	p, c := sharedProxy(t)
	binary := "\x00\xffb\r\n"
	user := connect(t, p.Addr)
	must(t, user, "CLIENT", "SETNAME", "orders")
	for range 30 {
		must(t, user, "SET", binary, "v")
	}
	for range 20 {
		must(t, user, "GET", "warm")
	}
	must(t, user, "SET", "large", strings.Repeat("x", 5000))
	p.mergeOnce()

	for _, protocol := range []int{2, 3} {
		client := goredis.NewClient(&goredis.Options{Addr: p.Addr, Protocol: protocol})
		do := func(args ...any) any {
			v, err := client.Do(t.Context(), args...).Result()
			require.NoError(t, err, "%v", args)
			return v
		}
		text := strings.Split(do("HOTKEY").(string), "\n")
		require.Len(t, text, 5, "with what is behind the last newline")
		assert.Equal(t, "Collect 3 keys in this period!", text[0])
		assert.Regexp(t, `^counter: \d+  keyname: ("\\x00\\xffb\\r\\n"|warm)$`, text[1])
		assert.Contains(t, text, "counter: 1  keyname: large")
		assert.Empty(t, text[4])

		keys := do("HOTKEY", "LIST", "COUNT", 2).([]any)
		require.Len(t, keys, 2)
		hottest := asMap(t, keys[0])
		assert.Len(t, hottest, 24)
		assert.Equal(t, binary, hottest["key"])
		assert.EqualValues(t, len(binary), hottest["key-length"])
		assert.EqualValues(t, 30, hottest["count"])
		assert.EqualValues(t, 30, hottest["writes"])
		assert.EqualValues(t, 0, hottest["reads"])
		assert.Equal(t, map[any]any{"set": int64(30)}, asMap(t, hottest["commands"]))
		assert.Equal(t, map[any]any{"orders": int64(30)}, asMap(t, hottest["clients"]))
		assert.EqualValues(t, testredis.Slot(binary), hottest["slot"])
		assert.Contains(t, c.Addrs(), hottest["node"])
		seen := time.UnixMilli(hottest["last-seen-unix-ms"].(int64))
		assert.WithinDuration(t, time.Now(), seen, time.Minute)
		if protocol == 3 {
			assert.IsType(t, 1.5, hottest["qps"])
		} else {
			assert.Regexp(t, `^\d+(\.\d+)?(e[+-]\d+)?$`, hottest["qps"])
		}
		assert.Equal(t, "warm", asMap(t, keys[1])["key"])

		slot := asMap(t, do("HOTKEY", "SLOTS").([]any)[0])
		assert.EqualValues(t, testredis.Slot(binary), slot["slot"])
		assert.EqualValues(t, 30, slot["requests"])
		assert.Equal(t, hottest["node"], slot["node"])
		slot = asMap(t, do("HOTKEY", "SLOTS", "BYTES", "COUNT", 1).([]any)[0])
		assert.EqualValues(t, testredis.Slot("large"), slot["slot"])

		largest := do("HOTKEY", "BIG").([]any)
		require.Len(t, largest, 1)
		value := asMap(t, largest[0])
		assert.Equal(t, "large", value["key"])
		assert.EqualValues(t, 5000, value["size"])
		assert.Equal(t, "set", value["command"])
		assert.NoError(t, client.Close())
	}
}

// asMap reads what is a map in RESP3 and a flat array in RESP2.
func asMap(t *testing.T, v any) map[any]any {
	t.Helper()
	if m, ok := v.(map[any]any); ok {
		return m
	}
	list := v.([]any)
	m := make(map[any]any, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	require.Len(t, m, len(list)/2)
	return m
}

func TestHotkeyResetForgetsWhatIsCountedAndWhatIsShown(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	must(t, conn, "SET", "shown", "v")
	p.mergeOnce()
	must(t, conn, "SET", "counted", "v")
	require.Len(t, must(t, conn, "HOTKEY", "LIST"), 1)
	assert.Equal(t, "OK", must(t, conn, "HOTKEY", "RESET"))
	assert.Empty(t, must(t, conn, "HOTKEY", "LIST"))
	must(t, conn, "SET", "after", "v")
	p.mergeOnce()
	assert.Equal(t, "Collect 1 keys in this period!\ncounter: 1  keyname: after\n", must(t, conn, "HOTKEY"))
}

// What a client pipelines behind RESET is counted, and what it sent before is not.
func TestHotkeyResetKeepsItsPlaceInAPipeline(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send([]any{"SET", "a", 1}, []any{"HOTKEY", "RESET"}, []any{"SET", "b", 2}, []any{"PING"}))
	for _, want := range []any{"OK", "OK", "OK", "PONG"} {
		got, err := conn.Receive()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	p.mergeOnce()
	assert.Equal(t, "Collect 1 keys in this period!\ncounter: 1  keyname: b\n", must(t, conn, "HOTKEY"))
}

func TestHotkeySaysWhenItIsSwitchedOff(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	must(t, conn, "SET", "a", 1)
	p.mergeOnce()
	require.Len(t, must(t, conn, "HOTKEY", "LIST"), 1)

	off := proxyOptions{}.config()
	off.GetRedisOption().HotKeys = &redis.HotKeys{Enable: proto.Bool(false)}
	svc, err := config.NewService("test", off, endpointsOf(t, c.Addrs()))
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	require.Eventually(t, func() bool {
		_, err := conn.Do("HOTKEY", "LIST")
		return err != nil
	}, 10*time.Second, time.Millisecond)
	for _, sub := range []string{"LIST", "SLOTS", "BIG"} {
		assert.Equal(t, errHotKeysOff, errorOf(t, conn, "HOTKEY", sub))
		assert.Equal(t, errSyntax, errorOf(t, conn, "HOTKEY", sub, "x"))
	}
	assert.Equal(t, "Collect 0 keys in this period!\n", must(t, conn, "HOTKEY"))
	assert.Equal(t, "OK", must(t, conn, "HOTKEY", "RESET"))
	view := p.HotKeys(0).(*hotKeysView)
	assert.False(t, view.Enabled)
	assert.Empty(t, view.Keys)
}
