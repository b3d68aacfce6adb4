package redis

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/filter"
	"samaritan/proc/redis/resp"
)

// A value that looks like a stored one is compressed also when that makes it longer. Whatever
// its length, nothing of it may be taken for another command by the node.
func TestValuesThatGetLongerCannotSmuggleCommands(t *testing.T) {
	const smuggled = "\r\n*1\r\n$8\r\nFLUSHALL\r\n"
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		on, off := connect(t, r.on.Addr), connect(t, r.off.Addr)
		witnesses := cmd("EXISTS")
		for i := range 30 {
			witnesses = append(witnesses, fmt.Sprint("witness:", i))
			must(t, on, "SET", witnesses[i+1], "here")
		}
		header := fmt.Sprintf("(P$%c\r\n", a)
		for _, n := range []int{0, 1, 2, 3, 4, 5, 40, 45, 50, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 950, 960, 965, 970, 973, 9960, 9970, 99_970} {
			v := header + randomText(n) + smuggled
			if n < 6 {
				v = header + randomText(n)
			}
			k := fmt.Sprint("grows:", n)
			_, err := on.Do("SET", k, v)
			if !assert.NoError(t, err, "%d bytes", len(v)) {
				break
			}
			require.NoError(t, on.Send(cmd("GET", k), cmd("SET", k, v), cmd("GETSET", k, v), cmd("HSET", "h"+k, "f", v, v, v), cmd("MSET", k, v, "m"+k, v), cmd("PING")))
			got := receive(t, on, 6)
			same(t, v, got[0], n)
			same(t, v, got[2], n)
			assert.Equal(t, []any{"OK", int64(2), "OK", "PONG"}, []any{got[1], got[3], got[4], got[5]})
			same(t, v, must(t, off, "GET", "m"+k), n)
			same(t, v, must(t, off, "HGET", "h"+k, v), n)
		}
		plain := startProxy(t, proxyOptions{}, r.cluster.Addrs()...).ready(t)
		assert.EqualValues(t, 30, must(t, connect(t, plain.Addr), witnesses...), "keys are gone that nobody deleted")
	})
}

// The frame of a request is the same but for its values, wherever these are and however
// their lengths change.
func TestOnlyValuesChangeInAFrame(t *testing.T) {
	long, stored := jsonText(5000), storedForm(compress.Snappy, jsonText(5000))
	short := "(P$\x00\r\n"
	grown := storedForm(compress.Snappy, short)
	n := startRecording(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).setCompression(t, compressing(compress.Snappy))
	conn := connect(t, p.Addr)
	for _, tt := range []struct{ send, want []any }{
		{cmd("SET", long, long), cmd("SET", long, stored)},
		{cmd("set", "k", short, "EX", 10), cmd("set", "k", grown, "EX", 10)},
		{cmd("SET", "k", long, "KEEPTTL", "GET"), cmd("SET", "k", stored, "KEEPTTL", "GET")},
		{cmd("SETEX", "k", long, long), cmd("SETEX", "k", long, stored)},
		{cmd("PSETEX", "k", 1, short), cmd("PSETEX", "k", 1, grown)},
		{cmd("SETNX", "k", long), cmd("SETNX", "k", stored)},
		{cmd("GETSET", "k", long), cmd("GETSET", "k", stored)},
		{cmd("MSET", "{k}1", long, "{k}2", "x", "{k}3", short), cmd("MSET", "{k}1", stored, "{k}2", "x", "{k}3", grown)},
		{cmd("MSETNX", "{k}1", "x", "{k}2", long), cmd("MSETNX", "{k}1", "x", "{k}2", stored)},
		{cmd("HSET", "k", long, long, short, short, "f", "v"), cmd("HSET", "k", long, stored, short, grown, "f", "v")},
		{cmd("HMSET", "k", "f", long), cmd("HMSET", "k", "f", stored)},
		{cmd("HSETNX", "k", "f", short), cmd("HSETNX", "k", "f", grown)},
		{cmd("MSETEX", 2, "{k}1", long, "{k}2", short, "NX", "EX", 10), cmd("MSETEX", 2, "{k}1", stored, "{k}2", grown, "NX", "EX", 10)},
		{cmd("MSETEX", 1, "k", long, "PXAT", long), cmd("MSETEX", 1, "k", stored, "PXAT", long)},
		{cmd("HSETEX", "k", "FIELDS", 1, long, long), cmd("HSETEX", "k", "FIELDS", 1, long, stored)},
		{cmd("HSETEX", "k", "FNX", "EX", 10, "fields", 2, "f", long, "g", short), cmd("HSETEX", "k", "FNX", "EX", 10, "fields", 2, "f", stored, "g", grown)},
		// What is not a value of a string or a hash, and what the node will refuse.
		{cmd("RPUSH", "k", long), cmd("RPUSH", "k", long)},
		{cmd("SADD", "k", long, short), cmd("SADD", "k", long, short)},
		{cmd("XADD", "k", "*", "f", long), cmd("XADD", "k", "*", "f", long)},
		{cmd("HINCRBY", "k", long, 1), cmd("HINCRBY", "k", long, 1)},
		{cmd("PUBLISH", "k", long), cmd("PUBLISH", "k", long)},
		{cmd("RESTORE", "k", 0, long), cmd("RESTORE", "k", 0, long)},
		{cmd("MSETEX", "many", "k", long), cmd("MSETEX", "many", "k", long)},
		{cmd("HSETEX", "k", "EX", 10, "f", long), cmd("HSETEX", "k", "EX", 10, "f", long)},
		{cmd("GETEX", "k", "EX", long), cmd("GETEX", "k", "EX", long)},
	} {
		_, err := conn.Do(tt.send...)
		var refused testredis.Error
		if err != nil {
			require.ErrorAs(t, err, &refused, "%.40q", tt.send)
			assert.NotContains(t, err.Error(), "disabled")
			assert.NotContains(t, err.Error(), "protocol")
		}
		want := make([]string, len(tt.want))
		for i, arg := range tt.want {
			want[i] = fmt.Sprint(arg)
		}
		got := n.take()
		if assert.Len(t, got, 1, "%.40q", tt.send) {
			assert.True(t, assert.ObjectsAreEqual(want, got[0]), "%.60q: the node got %.60q", tt.send, got[0])
		}
	}
}

// Commands with an odd number of arguments, and what comes inline.
func TestBrokenAndInlineCommandsAreHandledAsAlways(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	conn := connect(t, r.on.Addr)
	long := jsonText(1000)
	for _, args := range [][]any{
		cmd("MSET", "{k}1", long, "{k}2"), cmd("MSET", "a", long, "b"), cmd("HSET", "k", "f", long, "g"), cmd("HMSET", "k", "f", long, "g"),
		cmd("SET", "k", long, "WRONG"), cmd("SETEX", "k", "x", long), cmd("SETEX", "k", 0, long), cmd("MSETNX", "{k}1", "small", "{k}2"),
		cmd("SET", "k", long, "EX"), cmd("SET", "k"), cmd("HSET", "k", "f"),
	} {
		want := errorOf(t, connect(t, r.off.Addr), args...)
		assert.Equal(t, want, errorOf(t, conn, args...), "%.40q", args)
	}
	must(t, conn, "RPUSH", "list", "x")
	assert.Contains(t, errorOf(t, conn, "HSET", "list", "f", long), "WRONGTYPE")
	assert.Contains(t, errorOf(t, conn, "GETSET", "list", long), "WRONGTYPE")

	quoted := fmt.Sprintf("SET inline \"%s\"\r\nGET inline\r\n", escaped(long))
	assert.Equal(t, "+OK\r\n"+bulk(long), exchange(t, r.on.Addr, quoted))
	checkStored(t, compress.Snappy, sample{"inline", long, true}, r.raw(t, "GET", "inline"), "SET")
}

// A key without a value at the end is an error of the node, not the end of the process. The
// values of large requests are looked at for the largest ones.
func TestMSETNXWithoutItsLastValue(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	conn := connect(t, r.off.Addr)
	must(t, conn, "PING")
	frame := resp.AppendCommand(nil, "MSETNX", "{k}1", randomText(5000), "{k}2")
	var p resp.Parser
	_, err := p.Parse(frame)
	require.NoError(t, err)
	ok := false
	r.off.onWorkers(func(w *worker) {
		sent := &filter.Sending{
			Info: command.Lookup([]byte("msetnx")), Frame: frame, Args: p.Args, Keys: []int{1, 3}, Node: &filter.Node{Addr: "x:1"}, Note: new(filter.Note),
		}
		ok = assert.NotPanics(t, func() { w.filters.Sent(sent) })
	})
	if !ok {
		return // what follows would end the process
	}
	assert.Contains(t, errorOf(t, conn, "MSETNX", "{k}1", randomText(5000), "{k}2"), "wrong number of arguments")
	assert.Contains(t, errorOf(t, connect(t, r.on.Addr), "MSETNX", "{k}1", jsonText(50_000), "{k}2"), "wrong number of arguments")
}
