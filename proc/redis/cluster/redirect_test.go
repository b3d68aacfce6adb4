package cluster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseRedirect(t *testing.T) {
	for _, tt := range []struct {
		line string
		kind Kind
		slot uint16
		host string
		port uint16
		addr string
	}{
		{"-MOVED 3999 127.0.0.1:6381\r\n", KindMoved, 3999, "127.0.0.1", 6381, "127.0.0.1:6381"},
		{"-ASK 3999 127.0.0.1:6381\r\n", KindAsk, 3999, "127.0.0.1", 6381, "127.0.0.1:6381"},
		{"MOVED 0 10.1.2.3:1", KindMoved, 0, "10.1.2.3", 1, "10.1.2.3:1"},
		{"-ASK 16383 10.1.2.3:65535", KindAsk, 16383, "10.1.2.3", 65535, "10.1.2.3:65535"},
		{"-MOVED 1 ::1:7000\r\n", KindMoved, 1, "::1", 7000, "[::1]:7000"},
		{"-MOVED 1 2001:db8::a:7000\r\n", KindMoved, 1, "2001:db8::a", 7000, "[2001:db8::a]:7000"},
		{"-MOVED 1 [2001:db8::a]:7000\r\n", KindMoved, 1, "2001:db8::a", 7000, "[2001:db8::a]:7000"},
		{"-MOVED 1 :7000\r\n", KindMoved, 1, "", 7000, "10.0.0.9:7000"},
		{"-MOVED 1 ?:7000\r\n", KindMoved, 1, "", 7000, "10.0.0.9:7000"},
		{"-ASK 1 redis-1.cache_a.svc:7000\r\n", KindAsk, 1, "redis-1.cache_a.svc", 7000, "redis-1.cache_a.svc:7000"},
		{"-MOVED 00012 h:00080\n", KindMoved, 12, "h", 80, "h:80"},
	} {
		r, ok := ParseRedirect([]byte(tt.line))
		if assert.True(t, ok, "%q", tt.line) {
			assert.Equal(t, tt.kind, r.Kind, "%q", tt.line)
			assert.Equal(t, tt.slot, r.Slot, "%q", tt.line)
			assert.Equal(t, tt.host, string(r.Host), "%q", tt.line)
			assert.Equal(t, tt.port, r.Port, "%q", tt.line)
			assert.Equal(t, tt.addr, string(r.AppendAddr(nil, "10.0.0.9:6379")), "%q", tt.line)
		}
	}
}

func TestRedirectWithoutHostGoesToTheHostThatAnswered(t *testing.T) {
	r, ok := ParseRedirect([]byte("-MOVED 1 :7001"))
	assert.True(t, ok)
	assert.Equal(t, "[::1]:7001", string(r.AppendAddr(nil, "[::1]:7000")))
	assert.Equal(t, "to localhost:7001", string(r.AppendAddr([]byte("to "), "localhost:7000")))
}

func TestParseRedirectRejectsNonsense(t *testing.T) {
	for _, line := range []string{
		"", "-", "\r\n", "-MOVED", "-MOVED ", "-MOVED 1", "-MOVED 1 ", "-MOVED 1\r\n", "-MOVED 1 \r\n",
		"-MOVED  1 h:1", "-MOVED 1  h:1", "-moved 1 h:1", "-MOVEDX 1 h:1", "--MOVED 1 h:1", "-ERR MOVED 1 h:1",
		"-MOVED 16384 h:1", "-MOVED -1 h:1", "-MOVED x h:1", "-MOVED 99999999999999999999 h:1", "-MOVED 1x h:1",
		"-MOVED 1 h", "-MOVED 1 h:", "-MOVED 1 h:0", "-MOVED 1 h:65536", "-MOVED 1 h:123456", "-MOVED 1 h:1x",
		"-MOVED 1 h:-1", "-MOVED 1 h:1 2", "-MOVED 1 h h:1", "-MOVED 1 h/x:1", "-MOVED 1 h\x00:1", "-MOVED 1 h\xff:1",
		"-MOVED 1 name:more:1", "-MOVED 1 [::1:1", "-MOVED 1 ??:1", "-ASK1 h:1", "-ASKING 1 h:1",
		"-MOVED 1 " + strings.Repeat("h", 256) + ":1",
	} {
		r, ok := ParseRedirect([]byte(line))
		assert.False(t, ok, "%q", line)
		assert.Equal(t, Redirect{}, r, "%q", line)
	}
}

func TestErrorKind(t *testing.T) {
	for line, want := range map[string]Kind{
		"-MOVED 3999 127.0.0.1:6381\r\n":                    KindMoved,
		"-ASK 3999 127.0.0.1:6381\r\n":                      KindAsk,
		"-TRYAGAIN Multiple keys request during rehashing":  KindTryAgain,
		"-CLUSTERDOWN Hash slot not served\r\n":             KindClusterDown,
		"-LOADING Redis is loading the dataset in memory":   KindLoading,
		"-READONLY You can't write against a read only":     KindReadOnly,
		"-MASTERDOWN Link with MASTER is down and replica":  KindMasterDown,
		"-NOAUTH Authentication required.\r\n":              KindNoAuth,
		"-CROSSSLOT Keys in request don't hash to the same": KindCrossSlot,
		"MOVED 1 :1":                         KindMoved,
		"-ASK":                               KindAsk,
		"ASK\r\n":                            KindAsk,
		"-ASKING":                            KindOther,
		"-MOVE":                              KindOther,
		"-moved 1":                           KindOther,
		"-ERR unknown command 'MOVED'":       KindOther,
		"-WRONGTYPE Operation against a key": KindOther,
		"-MISCONF Redis is configured to save RDB":       KindOther,
		"-NOSCRIPT No matching script.":                  KindOther,
		"-NOPERM this user has no permissions":           KindOther,
		"-NOREPLICAS Not enough good replicas to write.": KindOther,
		"-CLUSTERDOWNX": KindOther,
		"-OOM command not allowed when used memory > maxmem'": KindOther,
		"":       KindOther,
		"-":      KindOther,
		"\r\n":   KindOther,
		"-\r\n":  KindOther,
		"-- ASK": KindOther,
	} {
		assert.Equal(t, want, ErrorKind([]byte(line)), "%q", line)
	}
}

func TestErrorKindFindsEveryKindByItsName(t *testing.T) {
	for k := KindMoved; k <= KindCrossSlot; k++ {
		assert.Equal(t, k, ErrorKind([]byte(k.String())))
	}
	assert.Equal(t, "OTHER", Kind(200).String())
}

func TestRedirectsAllocateNothing(t *testing.T) {
	lines := [][]byte{
		[]byte("-MOVED 3999 127.0.0.1:6381\r\n"), []byte("-ASK 1 2001:db8::a:7000\r\n"),
		[]byte("-MOVED 1 :7000\r\n"), []byte("-MOVED nonsense\r\n"), []byte("-ERR no such key\r\n"),
	}
	buf := make([]byte, 0, 64)
	asked := strings.Clone("10.0.0.9:6379")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, line := range lines {
			ErrorKind(line)
			if r, ok := ParseRedirect(line); ok {
				buf = r.AppendAddr(buf[:0], asked)
			}
		}
	}))
}

func FuzzParseRedirect(f *testing.F) {
	for _, seed := range []string{"-MOVED 3999 127.0.0.1:6381\r\n", "-ASK 1 ::1:7000", "-MOVED 1 :7000", "-MOVED 1 ?:1", "-MOVED 1 [::1]:1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := ParseRedirect(line)
		if !ok {
			return
		}
		if r.Slot >= Slots || r.Port == 0 || r.Kind != ErrorKind(line) || len(r.Host) > maxHost {
			t.Fatalf("%q: %+v", line, r)
		}
		// What is dialled leads to the same place when it comes as a redirect.
		again := r.AppendAddr([]byte(r.Kind.String()+" 7 "), asked)
		r2, ok := ParseRedirect(again)
		if !ok || r2.Port != r.Port || len(r.Host) > 0 && string(r2.Host) != string(r.Host) {
			t.Fatalf("%q: %+v, then %q: %+v", line, r, again, r2)
		}
	})
}

func BenchmarkParseRedirect(b *testing.B) {
	line := []byte("-MOVED 3999 127.0.0.1:6381\r\n")
	b.ReportAllocs()
	for b.Loop() {
		ParseRedirect(line)
	}
}

func BenchmarkErrorKind(b *testing.B) {
	for name, line := range map[string]string{
		"err":         "-ERR value is not an integer or out of range\r\n",
		"wrongtype":   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
		"moved":       "-MOVED 3999 127.0.0.1:6381\r\n",
		"clusterdown": "-CLUSTERDOWN Hash slot not served\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			reply := []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				ErrorKind(reply)
			}
		})
	}
}
