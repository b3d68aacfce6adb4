package redis

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

func TestCommandListsTheWholeTable(t *testing.T) {
	proxy, _ := localBackend(t)
	server := testredis.StartServer(t)
	for _, hello := range []string{"2", "3"} {
		c, err := testredis.Dial(proxy)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Do("HELLO", hello)
		require.NoError(t, err)
		count, err := c.Do("COMMAND", "COUNT")
		require.NoError(t, err)
		assert.EqualValues(t, len(command.All()), count)
		for _, cmd := range [][]any{{"COMMAND"}, {"COMMAND", "INFO"}} {
			all, err := c.Do(cmd...)
			require.NoError(t, err)
			assert.Len(t, all, len(command.All()))
		}
		names, err := c.Do("COMMAND", "LIST")
		require.NoError(t, err)
		assert.Len(t, names, command.Count())
		assert.Subset(t, names, server.MustDo(t, "COMMAND", "LIST"))
	}
}

func TestCommandListFilters(t *testing.T) {
	proxy, _ := localBackend(t)
	server := testredis.StartServer(t)
	c, err := testredis.Dial(proxy)
	require.NoError(t, err)
	defer c.Close()
	for _, filter := range [][]any{{"ACLCAT", "Transaction"}, {"ACLCAT", "hyperloglog"}, {"PATTERN", "config*"}, {"PATTERN", "*z[a-m]*"}} {
		cmd := append([]any{"COMMAND", "LIST", "FILTERBY"}, filter...)
		names, err := c.Do(cmd...)
		require.NoError(t, err)
		assert.Subset(t, names, server.MustDo(t, cmd...), "%v", filter)
		assert.Less(t, len(names.([]any)), command.Count()/2)
	}
}

func TestCommandDocsAreFactsOfRedis(t *testing.T) {
	for _, name := range []string{"get", "config", "config|get", "xread"} {
		i := commandNamed([]byte(name))
		require.NotNil(t, i, name)
		for _, resp3 := range []bool{false, true} {
			b := appendDocs(nil, []*command.Info{i}, resp3)
			v, rest, err := resp.ParseValue(b)
			require.NoError(t, err)
			assert.Empty(t, rest)
			require.Len(t, v.Elems, 2)
			assert.Equal(t, name, string(v.Elems[0].Str))
			docs := v.Elems[1].Elems
			assert.Equal(t, "since", string(docs[2].Str))
			assert.Equal(t, i.Since, string(docs[3].Str))
			assert.Equal(t, "group", string(docs[4].Str))
			assert.Equal(t, i.Container(), len(docs) == 8)
		}
	}
	assert.Nil(t, commandNamed([]byte("config|")))
	assert.Nil(t, commandNamed([]byte("|get")))
	assert.Nil(t, commandNamed([]byte("get|a|b")))
}

func TestEveryDocsEntryIsWellFormed(t *testing.T) {
	for _, resp3 := range []bool{false, true} {
		v, rest, err := resp.ParseValue(appendDocs(nil, command.All(), resp3))
		require.NoError(t, err)
		assert.Empty(t, rest)
		assert.Len(t, v.Elems, 2*len(command.All()))
	}
}

func TestKeyFlagsExistForEveryKey(t *testing.T) {
	for _, line := range []string{"bitop and d a b", "zinter 2 a b", "georadiusbymember a m 1 m storedist d", "smove a b m", "object freq k", "sort_ro a", "lmove a b left right"} {
		frame, args := frameOf(t, line)
		of := command.Resolve(frame, args)
		keys, err := of.GetKeys(nil, frame, args)
		require.NoError(t, err)
		for _, k := range keys {
			assert.NotZero(t, keyFlags(of, frame, args, k), "%s: %d", line, k)
		}
	}
}

func frameOf(t *testing.T, line string) (frame []byte, args []resp.Arg) {
	t.Helper()
	var p resp.Parser
	frame = resp.AppendCommand(nil, strings.Fields(line)...)
	n, err := p.Parse(frame)
	require.NoError(t, err)
	require.Equal(t, len(frame), n)
	return frame, p.Args
}

func TestRedisCLIWorks(t *testing.T) {
	proxy, _ := localBackend(t)
	_, port, _ := net.SplitHostPort(proxy)
	for _, option := range []string{"-2", "-3"} {
		cmd := exec.Command("redis-cli", option, "-p", port)
		cmd.Stdin = strings.NewReader("help get\nset k v\nget k\nclient setname x\nclient getname\nconfig get save\n")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "OK\nv\nOK\nx\nsave", option)
	}
}
