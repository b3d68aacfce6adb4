package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/proc/redis/resp"
)

var hotLines = []string{
	"GET key:000000000001",
	"set key:000000000001 value EX 10",
	"MGET a b c d e f g h i j",
	"EVALSHA 0123456789 2 a b c",
	"ZUNIONSTORE d 2 a b",
	"XREADGROUP GROUP g c COUNT 10 STREAMS a b > >",
	"SORT a BY w GET x STORE b",
	"GEORADIUS a 0 0 1 m STORE d",
	"MIGRATE h 1  0 1 KEYS a b",
	"OBJECT ENCODING a",
	"georadiusbymember_ro a m 1 km",
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	dst := make([]int, 0, 16)
	for _, line := range hotLines {
		frame, args := request(strings.Split(line, " ")...)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			i := Resolve(frame, args)
			if !CheckArity(i, len(args)) || i.Blocks(frame, args) {
				panic(line)
			}
			var err error
			if dst, err = i.Keys(dst[:0], frame, args); err != nil || len(dst) == 0 {
				panic(line)
			}
		}), line)
	}
}

func TestErrorsDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1024)
	frame, args := request("nosuch", "a", "b")
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst = AppendUnknown(dst[:0], frame, args) }))
	get := Lookup([]byte("get"))
	assert.Zero(t, testing.AllocsPerRun(100, func() { dst = AppendWrongArity(dst[:0], get) }))
}

var sink *Info

func BenchmarkLookup(b *testing.B) {
	for _, name := range []string{"GET", "set", "HGETALL", "ZRANGEBYSCORE", "georadiusbymember_ro", "nosuch"} {
		b.Run(name, func(b *testing.B) {
			n := []byte(name)
			b.ReportAllocs()
			for b.Loop() {
				sink = Lookup(n)
			}
		})
	}
}

// BenchmarkLookupMixed defeats the branch predictor's memory of one name.
func BenchmarkLookupMixed(b *testing.B) {
	var names [][]byte
	for _, n := range strings.Fields("GET SET HGET LPUSH INCR DEL ZADD EXPIRE HGETALL MGET SADD EXISTS TTL XADD ZRANGEBYSCORE SETEX") {
		names = append(names, []byte(n))
	}
	for n := 0; b.Loop(); n++ {
		sink = Lookup(names[n*7%16])
	}
}

func BenchmarkKeys(b *testing.B) {
	for _, line := range hotLines {
		name, _, _ := strings.Cut(line, " ")
		b.Run(name, func(b *testing.B) {
			frame, args := request(strings.Split(line, " ")...)
			i := Resolve(frame, args)
			dst := make([]int, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = i.Keys(dst[:0], frame, args)
			}
		})
	}
}

func BenchmarkResolveAndKeys(b *testing.B) {
	frame, args := request("GET", "key:000000000001")
	dst := make([]int, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		sink = Resolve(frame, args)
		dst, _ = sink.Keys(dst[:0], frame, args)
	}
}

// FuzzKeys cuts the input into arguments at blanks. Whatever they are: no panic, indices in range and
// without the name, dst's old content untouched, errors only without keys.
func FuzzKeys(f *testing.F) {
	for _, args := range exampleRequests() {
		f.Add(uint16(0), strings.Join(args, " "))
	}
	for id := range Count() {
		f.Add(uint16(id), "x a 2 b c 1 d")
	}
	f.Fuzz(func(t *testing.T, id uint16, line string) {
		frame, args := request(strings.Split(line, " ")...)
		checkKeys(t, ByID(id%uint16(Count())), frame, args)
		if i := Resolve(frame, args); i != nil {
			checkKeys(t, i, frame, args)
		} else {
			reply := AppendUnknown(nil, frame, args)
			assert.Equal(t, len(reply)-2, strings.IndexAny(string(reply), "\r\n"))
		}
	})
}

func checkKeys(t *testing.T, i *Info, frame []byte, args []resp.Arg) {
	t.Helper()
	type extract func([]int, []byte, []resp.Arg) ([]int, error)
	for _, keys := range []extract{i.Keys, i.GetKeys} {
		found, err := keys([]int{-7}, frame, args)
		assert.Equal(t, -7, found[0])
		for _, k := range found[1:] {
			assert.True(t, k >= 1 && k < len(args), "%s: key %d of %d arguments", i.Name, k, len(args))
		}
		if err != nil {
			assert.Len(t, found, 1, i.Name)
		}
	}
	i.Blocks(frame, args)
}

// FuzzLookup compares with the plain way: fold and compare with all names.
func FuzzLookup(f *testing.F) {
	for _, i := range All() {
		f.Add([]byte(i.Name))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		var want *Info
		for _, i := range All() {
			if equalFold(name, i.Name) {
				want = i
			}
		}
		assert.Same(t, want, Lookup(name))
	})
}
