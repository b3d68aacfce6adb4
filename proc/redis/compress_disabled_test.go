package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/compress"
)

// disabledCommands are refused while values are compressed. with is what the error says about
// options.
var disabledCommands = []struct{ line, with string }{
	{"APPEND k v", ""},
	{"SETRANGE k 0 v", ""},
	{"GETRANGE k 0 -1", ""},
	{"SUBSTR k 0 -1", ""},
	{"SETBIT k 7 1", ""},
	{"GETBIT k 7", ""},
	{"BITCOUNT k", ""},
	{"BITPOS k 1", ""},
	{"BITOP AND {k}1 {k}2 {k}3", ""},
	{"BITFIELD k GET u8 0", ""},
	{"BITFIELD_RO k GET u8 0", ""},
	{"LCS {k}1 {k}2", ""},
	{"DIGEST k", ""},
	{"DELIFEQ k v", ""},
	{"EVAL return(1) 1 k", ""},
	{"EVAL return(1) 0", ""},
	{"EVALSHA 0123456789012345678901234567890123456789 1 k", ""},
	{"EVALSHA 0123456789012345678901234567890123456789 0", ""},
	{"EVAL_RO return(1) 1 k", ""},
	{"EVAL_RO return(1) 0", ""},
	{"EVALSHA_RO 0123456789012345678901234567890123456789 1 k", ""},
	{"FCALL f 1 k", ""},
	{"FCALL f 0", ""},
	{"FCALL_RO f 1 k", ""},
	{"FCALL_RO f 0", ""},
	{"SET k v IFEQ old", "IFEQ"},
	{"SET k v IFNE old", "IFNE"},
	{"SET k v EX 10 ifdeq digest", "IFDEQ"},
	{"SET k v IFDNE digest GET", "IFDNE"},
	{"DELEX k IFEQ v", "IFEQ"},
	{"DELEX k ifne v", "IFNE"},
	{"DELEX k IFDEQ v", "IFDEQ"},
	{"DELEX k IFDNE v", "IFDNE"},
	{"SORT {k}1 BY nosort GET {k}v_* STORE {k}2", "GET and STORE"},
	{"SORT {k}1 GET # get {k}v_* store {k}2", "GET and STORE"},
	{"append k v", ""},
	{"Eval return(1) 0", ""},
}

// allowedCommands look like those and are not refused.
var allowedCommands = []string{
	"SET k IFEQ", "SET k v", "SET IFEQ v", "SET k v GET", "DELEX k", "SORT {k}1", "SORT {k}1 STORE {k}2", "SORT {k}1 GET # STORE {k}2",
	"SORT {k}1 GET {k}v_*", "SORT_RO {k}1 GET {k}v_*", "INCR k", "INCRBYFLOAT k 1", "STRLEN k", "HINCRBY k f 1", "HSTRLEN k f",
	"SCRIPT LOAD return(1)", "FUNCTION LIST", "GETDEL k", "DUMP k", "COPY {k}1 {k}2",
	"DEL SET", "GET append",
}

func TestCommandsThatWorkOnBytesAreDisabledWhileValuesAreCompressed(t *testing.T) {
	n := startRecording(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	for _, on := range []bool{true, false, true} {
		p.setCompression(t, nil)
		if on {
			p.setCompression(t, compressing(compress.Snappy))
		}
		for _, tt := range disabledCommands {
			before, failed := p.counter("compression.disabled_total"), p.counter("redis.error")
			v, err := conn.Do(argsOf(tt.line)...)
			if !on {
				require.NoError(t, err, tt.line)
				assert.Equal(t, "OK", v, tt.line)
				assert.Len(t, n.take(), 1, tt.line)
				assert.Equal(t, before, p.counter("compression.disabled_total"))
				continue
			}
			name := strings.ToLower(strings.Fields(tt.line)[0])
			want := fmt.Sprintf("ERR command '%s' is disabled in compress mode", name)
			if tt.with != "" {
				want = fmt.Sprintf("ERR command '%s' with %s is disabled in compress mode", name, tt.with)
			}
			assert.EqualError(t, err, want, tt.line)
			assert.Empty(t, n.take(), tt.line)
			assert.Equal(t, before+1, p.counter("compression.disabled_total"), tt.line)
			assert.Equal(t, failed+1, p.counter("redis.error"), tt.line)
		}
		before := p.counter("compression.disabled_total")
		for _, line := range allowedCommands {
			v, err := conn.Do(argsOf(line)...)
			require.NoError(t, err, line)
			assert.Equal(t, "OK", v, line)
			assert.NotEmpty(t, n.take(), line)
		}
		assert.Equal(t, before, p.counter("compression.disabled_total"))
	}
}

// A disabled command is answered in its turn, and what is wrong with it otherwise comes first.
func TestDisabledCommandsInAPipeline(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	const disabled = "-ERR command 'append' is disabled in compress mode\r\n"
	long := jsonText(2000)
	request := commands("SET k a", "APPEND k b", "GET k", "APPEND k", "BITOP AND a b c", "MSET k x l y", "EVAL return(1) 0", "CLIENT REPLY SKIP", "APPEND k c",
		"GET k", "SET k "+long, "APPEND k z", "GET k")
	want := "+OK\r\n" + disabled + bulk("a") + "-ERR wrong number of arguments for 'append' command\r\n" +
		"-CROSSSLOT Keys in request don't hash to the same slot\r\n" + "+OK\r\n-ERR command 'eval' is disabled in compress mode\r\n" +
		bulk("x") + "+OK\r\n" + disabled + bulk(long)
	assert.Equal(t, want, exchange(t, r.on.Addr, request))
	assert.True(t, strings.HasPrefix(exchange(t, r.off.Addr, request), "+OK\r\n:2\r\n"+bulk("ab")))
}
