package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// library is what the tests below need of a client library.
type library struct {
	// do sends one command; a nil reply is redisNil.
	do func(args ...any) (any, error)
	// pipeline sends the commands at once and returns their replies.
	pipeline func(cmds ...[]any) ([]any, error)
	// hash reads a hash with what the library has for it.
	hash func(key string) (map[string]string, error)
	// script runs a script the library's way: EVALSHA, and EVAL after NOSCRIPT.
	script func(text, key string, arg any) (any, error)
	// isNil reports whether the error stands for a null reply.
	isNil func(err error) bool
}

func TestClientLibraries(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, addr string) library{
		"go-redis": func(t *testing.T, addr string) library { return openGoRedis(t, &goredis.Options{Addr: addr}) },
		"go-redis RESP2": func(t *testing.T, addr string) library {
			return openGoRedis(t, &goredis.Options{Addr: addr, Protocol: 2})
		},
		"go-redis RESP3": func(t *testing.T, addr string) library {
			return openGoRedis(t, &goredis.Options{Addr: addr, Protocol: 3})
		},
		"rueidis": func(t *testing.T, addr string) library {
			return openRueidis(t, rueidis.ClientOption{DisableCache: true}, addr)
		},
		"rueidis single": func(t *testing.T, addr string) library {
			return openRueidis(t, rueidis.ClientOption{DisableCache: true, ForceSingleClient: true}, addr)
		},
		"rueidis pipelined": func(t *testing.T, addr string) library {
			return openRueidis(t, rueidis.ClientOption{DisableCache: true, AlwaysPipelining: true}, addr)
		},
		"rueidis RESP2": func(t *testing.T, addr string) library {
			return openRueidis(t, rueidis.ClientOption{DisableCache: true, AlwaysRESP2: true}, addr)
		},
		"redigo": openRedigo,
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := sharedProxy(t)
			useLibrary(t, open(t, p.Addr))
		})
	}
}

// useLibrary does what applications do.
func useLibrary(t *testing.T, l library) {
	t.Helper()
	do := func(args ...any) any {
		t.Helper()
		v, err := l.do(args...)
		require.NoError(t, err, "%v", args)
		return v
	}
	assert.Equal(t, "OK", do("SET", "k", "v"))
	assert.Equal(t, "v", do("GET", "k"))
	_, err := l.do("GET", "absent")
	assert.True(t, l.isNil(err), "%v", err)
	assert.Equal(t, "OK", do("MSET", "a", 1, "b", 2, "c", 3))
	assert.Equal(t, []any{"1", "2", "3"}, do("MGET", "a", "b", "c"))
	assert.EqualValues(t, 3, do("DEL", "a", "b", "c"))

	big := strings.Repeat("0123456789", 1_000_000)
	assert.Equal(t, "OK", do("SET", "big", big))
	assert.Equal(t, big, do("GET", "big"))

	do("HSET", "hash", "f", "1", "g", "2")
	hash, err := l.hash("hash")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"f": "1", "g": "2"}, hash)

	for _, slot := range []uint16{1, 8000, 16000} { // the first call on a master has to load it
		v, err := l.script("return redis.call('INCRBY', KEYS[1], ARGV[1])", key(slot, "n"), slot)
		require.NoError(t, err)
		assert.EqualValues(t, slot, v)
	}
	_, err = l.do("LPUSH", "k", 1)
	assert.ErrorContains(t, err, "WRONGTYPE Operation against a key holding the wrong kind of value")
	_, err = l.do("SINTER", "k", "l")
	assert.ErrorContains(t, err, "CROSSSLOT")
	_, err = l.do("NOTHING", "k")
	assert.ErrorContains(t, err, "unknown command 'NOTHING', with args beginning with: 'k'") // some cut the ERR off

	var cmds [][]any
	var want []any
	for i := range 500 {
		cmds = append(cmds, cmd("SET", fmt.Sprint("p", i), i), cmd("GET", fmt.Sprint("p", i)))
		want = append(want, "OK", fmt.Sprint(i))
	}
	got, err := l.pipeline(cmds...)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func openGoRedis(t *testing.T, o *goredis.Options) library {
	c := goredis.NewClient(o)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	ctx := t.Context()
	return library{
		do: func(args ...any) (any, error) { return c.Do(ctx, args...).Result() },
		pipeline: func(cmds ...[]any) ([]any, error) {
			results, err := c.Pipelined(ctx, func(p goredis.Pipeliner) error {
				for _, args := range cmds {
					p.Do(ctx, args...)
				}
				return nil
			})
			var all []any
			for _, r := range results {
				all = append(all, r.(*goredis.Cmd).Val())
			}
			return all, err
		},
		hash: func(key string) (map[string]string, error) { return c.HGetAll(ctx, key).Result() },
		script: func(text, key string, arg any) (any, error) {
			return goredis.NewScript(text).Run(ctx, c, []string{key}, arg).Result()
		},
		isNil: func(err error) bool { return errors.Is(err, goredis.Nil) },
	}
}

func openRueidis(t *testing.T, o rueidis.ClientOption, addr string) library {
	o.InitAddress = []string{addr}
	c, err := rueidis.NewClient(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx := t.Context()
	build := func(args []any) rueidis.Completed {
		b := c.B().Arbitrary(fmt.Sprint(args[0]))
		for _, a := range args[1:] {
			b = b.Args(fmt.Sprint(a))
		}
		return b.Build()
	}
	value := func(r rueidis.RedisResult) (any, error) { return r.ToAny() }
	return library{
		do: func(args ...any) (any, error) { return value(c.Do(ctx, build(args))) },
		pipeline: func(cmds ...[]any) (all []any, err error) {
			var batch rueidis.Commands
			for _, args := range cmds {
				batch = append(batch, build(args))
			}
			for _, r := range c.DoMulti(ctx, batch...) {
				v, e := value(r)
				all, err = append(all, v), errors.Join(err, e)
			}
			return all, err
		},
		hash: func(key string) (map[string]string, error) {
			return c.Do(ctx, c.B().Hgetall().Key(key).Build()).AsStrMap()
		},
		script: func(text, key string, arg any) (any, error) {
			return value(rueidis.NewLuaScript(text).Exec(ctx, c, []string{key}, []string{fmt.Sprint(arg)}))
		},
		isNil: rueidis.IsRedisNil,
	}
}

func openRedigo(t *testing.T, addr string) library {
	c, err := redigo.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	text := func(v any) any {
		switch v := v.(type) {
		case []byte:
			return string(v)
		case []any:
			for i := range v {
				if b, ok := v[i].([]byte); ok {
					v[i] = string(b)
				}
			}
		}
		return v
	}
	return library{
		do: func(args ...any) (any, error) {
			v, err := c.Do(args[0].(string), args[1:]...)
			if err == nil && v == nil {
				err = redigo.ErrNil
			}
			return text(v), err
		},
		pipeline: func(cmds ...[]any) (all []any, err error) {
			for _, args := range cmds {
				if err := c.Send(args[0].(string), args[1:]...); err != nil {
					return nil, err
				}
			}
			if err := c.Flush(); err != nil {
				return nil, err
			}
			for range cmds {
				v, err := c.Receive()
				if err != nil {
					return nil, err
				}
				all = append(all, text(v))
			}
			return all, nil
		},
		hash: func(key string) (map[string]string, error) { return redigo.StringMap(c.Do("HGETALL", key)) },
		script: func(text, key string, arg any) (any, error) {
			return redigo.NewScript(1, text).Do(c, key, arg)
		},
		isNil: func(err error) bool { return errors.Is(err, redigo.ErrNil) },
	}
}

func TestTransactionOfGoRedisIsAnErrorAndNothingOfItRuns(t *testing.T) {
	p, _ := sharedProxy(t)
	for _, proto := range []int{2, 3} {
		c := goredis.NewClient(&goredis.Options{Addr: p.Addr, Protocol: proto, PoolSize: 1})
		defer c.Close()
		ctx := t.Context()
		require.NoError(t, c.Set(ctx, "k", "before", 0).Err())
		_, err := c.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			p.Set(ctx, "k", "after", 0)
			p.Incr(ctx, "n")
			return nil
		})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "ERR samaritan: 'multi' is not supported yet")
		assert.Equal(t, "before", c.Get(ctx, "k").Val())
		assert.Zero(t, c.Exists(ctx, "n").Val())
		// The connection is as good as before.
		require.NoError(t, c.Set(ctx, "k", "again", 0).Err())
		assert.Equal(t, "again", c.Get(ctx, "k").Val())

		err = c.Watch(ctx, func(tx *goredis.Tx) error { return nil }, "k")
		assert.ErrorContains(t, err, "ERR samaritan: 'watch' is not supported yet")
	}
}

func TestSubscribersAndBlockingCallsAreRefusedAtOnce(t *testing.T) {
	p, _ := sharedProxy(t)
	c := goredis.NewClient(&goredis.Options{Addr: p.Addr})
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	sub := c.Subscribe(ctx, "channel")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	assert.ErrorContains(t, err, "ERR samaritan: 'subscribe' is not supported yet")
	assert.ErrorContains(t, c.BLPop(ctx, time.Second, "k").Err(), "ERR samaritan: 'blpop' is not supported yet")
	assert.NoError(t, ctx.Err(), "at once")
}

// The library asks for tracking in OPTIN mode unless it is told not to, which promises
// nothing; what it does need then is an error.
func TestRueidisWithItsDefaults(t *testing.T) {
	p, _ := sharedProxy(t)
	useLibrary(t, openRueidis(t, rueidis.ClientOption{}, p.Addr))
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.Addr}})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Do(t.Context(), c.B().Set().Key("k").Value("v").Build()).Error())
	assert.Error(t, c.DoCache(t.Context(), c.B().Get().Key("k").Cache(), time.Minute).Error())
	got, err := c.Do(t.Context(), c.B().Get().Key("k").Build()).ToString()
	require.NoError(t, err)
	assert.Equal(t, "v", got)
}

func TestTrackingIsTakenInTheModeThatPromisesNothing(t *testing.T) {
	p, c := sharedProxy(t)
	conn, node := connect(t, p.Addr), connect(t, c.Addrs()[0])
	for _, args := range [][]any{
		{"HELLO", 3},
		{"CLIENT", "TRACKING", "ON", "OPTIN"},
		{"CLIENT", "TRACKINGINFO"},
		{"CLIENT", "GETREDIR"},
		{"CLIENT", "CACHING", "NO"},
		{"CLIENT", "CACHING", "x"},
		{"CLIENT", "TRACKING", "OFF"},
		{"CLIENT", "TRACKINGINFO"},
		{"CLIENT", "GETREDIR"},
		{"CLIENT", "CACHING", "YES"},
	} {
		want, wantErr := node.Do(args...)
		got, err := conn.Do(args...)
		assert.Equal(t, wantErr, err, "%v", args)
		if args[0] != "HELLO" {
			assert.Equal(t, want, got, "%v", args)
		}
	}
	must(t, conn, "CLIENT", "TRACKING", "on", "optin")
	assert.Contains(t, must(t, conn, "CLIENT", "INFO"), " flags=t ")
	assert.Equal(t, "ERR samaritan: 'client|caching' is not supported yet", errorOf(t, conn, "CLIENT", "CACHING", "YES"))
	must(t, conn, "RESET")
	assert.Equal(t, int64(-1), must(t, conn, "CLIENT", "GETREDIR"))
	for _, more := range [][]any{nil, {"BCAST"}, {"OPTOUT"}, {"NOLOOP"}, {"OPTIN", "NOLOOP"}, {"REDIRECT", 1}, {"BCAST", "PREFIX", "a"}} {
		assert.Equal(t, "ERR samaritan: 'client|tracking' is not supported yet", errorOf(t, conn, append([]any{"CLIENT", "TRACKING", "ON"}, more...)...))
	}
}

// tool runs a program of Redis' own against the proxy.
func tool(t *testing.T, addr, stdin, name string, args ...string) string {
	t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.CommandContext(t.Context(), name, append([]string{"-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s %v: %s%s", name, args, out.String(), errs.String())
	assert.Empty(t, errs.String())
	return out.String()
}

func TestRedisCLI(t *testing.T) {
	p, _ := sharedProxy(t)
	const input = `set k v
get k
get absent
hset h f 1
hgetall h
mget k absent
lpush k 1
nothing x
eval "return {KEYS[1],2,'three'}" 1 k
`
	two := tool(t, p.Addr, input, "redis-cli", "-2", "--no-raw")
	assert.Equal(t, strings.TrimLeft(`
OK
"v"
(nil)
(integer) 1
1) "f"
2) "1"
1) "v"
2) (nil)
(error) WRONGTYPE Operation against a key holding the wrong kind of value
(error) ERR unknown command 'nothing', with args beginning with: 'x' 
1) "k"
2) (integer) 2
3) "three"
`, "\n"), two)
	three := tool(t, p.Addr, "hgetall h\nget absent\n", "redis-cli", "-3", "--no-raw")
	assert.Equal(t, "1# \"f\" => \"1\"\n(nil)\n", three)

	assert.Equal(t, "v\n", tool(t, p.Addr, "", "redis-cli", "get", "k"))
	names := tool(t, p.Addr, "", "redis-cli", "--scan", "--pattern", "?")
	assert.ElementsMatch(t, []string{"k", "h"}, strings.Fields(names))
	pipe := tool(t, p.Addr, strings.Repeat("*3\r\n$3\r\nSET\r\n$1\r\np\r\n$1\r\n1\r\n", 1000), "redis-cli", "--pipe")
	assert.Contains(t, pipe, "errors: 0, replies: 1000")
}

func TestRedisBenchmark(t *testing.T) {
	p, c := sharedProxy(t)
	for _, pipeline := range []string{"1", "16"} {
		out := tool(t, p.Addr, "", "redis-benchmark", "-t", "set,get,mset,lpush", "-n", "4000", "-c", "20", "-r", "1000", "-P", pipeline, "-q")
		for _, test := range []string{"SET", "GET", "MSET (10 keys)", "LPUSH"} {
			assert.Regexp(t, `(?m)(^|\r)`+strings.NewReplacer("(", `\(`, ")", `\)`).Replace(test)+`: [0-9.]+ requests per second`, out)
		}
		assert.NotContains(t, out, "rror")
	}
	for _, n := range c.Nodes() {
		assert.NotEqual(t, int64(0), n.MustDo(t, "DBSIZE"))
	}
	assert.EqualValues(t, 8000, must(t, connect(t, p.Addr), "LLEN", "mylist"))
}
