package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"samaritan/internal/testredis"
)

// keyspace is what a server is expected to hold: strings, lists ([]string) and sets
// (map[string]bool) by key. Absent keys are not in it.
type keyspace map[string]any

const (
	errWrongType = testredis.Error("WRONGTYPE Operation against a key holding the wrong kind of value")
	errNoSuchKey = testredis.Error("ERR no such key")
	errNoInteger = testredis.Error("ERR value is not an integer or out of range")
)

// bothScript appends its argument to two keys, and returns the two lengths.
const bothScript = "return {redis.call('APPEND', KEYS[1], ARGV[1]), redis.call('APPEND', KEYS[2], ARGV[1])}"

// do executes a command as Redis would and returns its reply, as testredis reads it.
// Sets come back sorted.
func (ks keyspace) do(args []string) any {
	name, key := strings.ToUpper(args[0]), args[1]
	switch name {
	case "GET", "SET", "APPEND", "INCR", "STRLEN", "GETSET", "GETDEL", "SETNX":
		return ks.doString(name, args)
	case "RPUSH", "LPOP", "LRANGE", "LLEN":
		return ks.doList(name, args)
	case "SADD", "SMEMBERS", "SCARD":
		return ks.doSet(name, args)
	case "MGET", "MSET", "MSETNX", "DEL", "UNLINK", "EXISTS", "TOUCH":
		return ks.doMany(name, args[1:])
	case "RENAME", "COPY", "LMOVE", "SMOVE", "SINTERSTORE", "SUNIONSTORE":
		return ks.doTwo(name, args)
	case "EVAL":
		return []any{ks.do([]string{"APPEND", args[3], args[5]}), ks.do([]string{"APPEND", args[4], args[5]})}
	}
	panic("the model does not know " + name + " " + key)
}

func (ks keyspace) doString(name string, args []string) any {
	key := args[1]
	old, isString := ks[key].(string)
	absent := ks[key] == nil
	if !isString && !absent && name != "SET" {
		return errWrongType
	}
	reply := any(old)
	if absent {
		reply = nil
	}
	switch name {
	case "GET":
		return reply
	case "SET":
		ks[key] = args[2]
		return "OK"
	case "GETSET":
		ks[key] = args[2]
		return reply
	case "GETDEL":
		delete(ks, key)
		return reply
	case "SETNX":
		if absent {
			ks[key] = args[2]
		}
		return oneIf(absent)
	case "STRLEN":
		return int64(len(old))
	case "APPEND":
		ks[key] = old + args[2]
		return int64(len(old) + len(args[2]))
	}
	n, err := strconv.ParseInt(old, 10, 64)
	if err != nil && !absent {
		return errNoInteger
	}
	ks[key] = fmt.Sprint(n + 1)
	return n + 1
}

func (ks keyspace) doList(name string, args []string) any {
	key := args[1]
	old, ok := ks[key].([]string)
	if !ok && ks[key] != nil {
		return errWrongType
	}
	switch name {
	case "RPUSH":
		ks[key] = append(slices.Clone(old), args[2:]...)
		return int64(len(old) + len(args) - 2)
	case "LLEN":
		return int64(len(old))
	case "LRANGE": // the whole of it
		return listOf(old)
	}
	if len(old) == 0 {
		return nil
	}
	ks.putList(key, old[1:])
	return old[0]
}

func (ks keyspace) doSet(name string, args []string) any {
	key := args[1]
	old, ok := ks[key].(map[string]bool)
	if !ok && ks[key] != nil {
		return errWrongType
	}
	switch name {
	case "SADD":
		set := map[string]bool{}
		for m := range old {
			set[m] = true
		}
		for _, m := range args[2:] {
			set[m] = true
		}
		ks[key] = set
		return int64(len(set) - len(old))
	case "SCARD":
		return int64(len(old))
	}
	return listOf(memberList(old))
}

func (ks keyspace) doMany(name string, args []string) any {
	var n int64
	switch name {
	case "MGET":
		all := make([]any, len(args))
		for i, key := range args {
			if v, ok := ks[key].(string); ok {
				all[i] = v
			}
		}
		return all
	case "MSETNX":
		for i := 0; i < len(args); i += 2 {
			if ks[args[i]] != nil {
				return int64(0)
			}
		}
		ks.doMany("MSET", args)
		return int64(1)
	case "MSET":
		for i := 0; i < len(args); i += 2 {
			ks[args[i]] = args[i+1]
		}
		return "OK"
	}
	for _, key := range args {
		n += oneIf(ks[key] != nil)
		if name == "DEL" || name == "UNLINK" {
			delete(ks, key)
		}
	}
	return n
}

// doTwo knows the commands that have a source and a destination.
func (ks keyspace) doTwo(name string, args []string) any {
	from, to := args[1], args[2]
	switch name {
	case "RENAME":
		v := ks[from]
		if v == nil {
			return errNoSuchKey
		}
		delete(ks, from)
		ks[to] = v
		return "OK"
	case "COPY": // REPLACE
		if ks[from] != nil {
			ks[to] = ks[from]
		}
		return oneIf(ks[from] != nil)
	case "LMOVE": // LEFT RIGHT
		old, _ := ks[from].([]string)
		if len(old) == 0 {
			return nil
		}
		ks.putList(from, old[1:])
		dest, _ := ks[to].([]string)
		ks[to] = append(slices.Clone(dest), old[0])
		return old[0]
	case "SMOVE":
		src, _ := ks[from].(map[string]bool)
		if !src[args[3]] {
			return int64(0)
		}
		left := slices.DeleteFunc(memberList(src), func(m string) bool { return m == args[3] })
		ks.putSet(from, left)
		ks.doSet("SADD", []string{"SADD", to, args[3]})
		return int64(1)
	}
	// SINTERSTORE and SUNIONSTORE: destination, then two sets.
	a, _ := ks[args[2]].(map[string]bool)
	b, _ := ks[args[3]].(map[string]bool)
	var out []string
	for m := range a {
		if b[m] || name == "SUNIONSTORE" {
			out = append(out, m)
		}
	}
	if name == "SUNIONSTORE" {
		for m := range b {
			if !a[m] {
				out = append(out, m)
			}
		}
	}
	ks.putSet(args[1], out)
	return int64(len(out))
}

func (ks keyspace) putList(key string, list []string) {
	if ks[key] = list; len(list) == 0 {
		delete(ks, key)
	}
}

func (ks keyspace) putSet(key string, list []string) {
	set := map[string]bool{}
	for _, m := range list {
		set[m] = true
	}
	if ks[key] = set; len(set) == 0 {
		delete(ks, key)
	}
}

// effectsKeys are the keys of a command that the model knows.
func effectsKeys(args []string) []string {
	switch strings.ToUpper(args[0]) {
	case "MGET", "DEL", "UNLINK", "EXISTS", "TOUCH":
		return args[1:]
	case "MSET", "MSETNX":
		var keys []string
		for i := 1; i < len(args); i += 2 {
			keys = append(keys, args[i])
		}
		return keys
	case "RENAME", "COPY", "LMOVE", "SMOVE":
		return args[1:3]
	case "SINTERSTORE", "SUNIONSTORE":
		return args[1:4]
	case "EVAL":
		return args[3:5]
	}
	return args[1:2]
}

// splittable tells whether a command can be done key by key.
func splittable(name string) bool {
	return slices.Contains([]string{"MGET", "MSET", "DEL", "UNLINK", "EXISTS", "TOUCH"}, name)
}

// wireForm is a reply as a node sends it in RESP2.
func wireForm(v any) string {
	switch v := v.(type) {
	case nil:
		return "$-1\r\n"
	case int64:
		return fmt.Sprintf(":%d\r\n", v)
	case testredis.Error:
		return fmt.Sprintf("-%s\r\n", string(v))
	case []any:
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(v))
		for _, elem := range v {
			b.WriteString(wireForm(elem))
		}
		return b.String()
	case string:
		if v == "OK" {
			return "+OK\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	}
	panic(fmt.Sprintf("no such reply: %T", v))
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func listOf(list []string) []any {
	all := make([]any, len(list))
	for i, v := range list {
		all[i] = v
	}
	return all
}

func memberList(set map[string]bool) []string {
	var all []string
	for m := range set {
		all = append(all, m)
	}
	slices.Sort(all)
	return all
}
