package logging

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// server is a syslog server that only keeps what it gets.
func server(t *testing.T) (*net.UDPConn, string) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	return c, c.LocalAddr().String()
}

func receive(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

func syslogTo(t *testing.T, target string) *Logger {
	t.Helper()
	l, err := New(Options{Level: "DEBUG", Output: Syslog, Target: target})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func TestSyslogMessagesAreRFC5424(t *testing.T) {
	srv, addr := server(t)
	l := syslogTo(t, addr)
	for _, tt := range []struct {
		level slog.Level
		pri   string
	}{
		{slog.LevelDebug, "<31>"}, {slog.LevelInfo, "<30>"}, {slog.LevelWarn, "<28>"}, {slog.LevelError, "<27>"},
	} {
		l.With("component", "x").WithGroup("g").Log(t.Context(), tt.level, "two\nlines", "n", 1)
		assert.Regexp(t,
			`^`+tt.pri+`1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ samaritan `+fmt.Sprint(os.Getpid())+
				` - - level=`+tt.level.String()+` msg="two\\nlines" component=x g\.n=1$`,
			receive(t, srv))
	}
	assert.Zero(t, l.Dropped())
}

func TestSyslogNameIsDialledInTheBackgroundAndKeepsTheFirstLines(t *testing.T) {
	srv, addr := server(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	l := syslogTo(t, "localhost:"+port)
	l.Info("first")
	l.Info("second")
	assert.Contains(t, receive(t, srv), "msg=first")
	assert.Contains(t, receive(t, srv), "msg=second")
}

func TestSyslogServerAwayDropsAndCountsAndRecovers(t *testing.T) {
	srv, addr := server(t)
	require.NoError(t, srv.Close())
	l := syslogTo(t, addr)

	deadline := time.Now().Add(10 * time.Second)
	for l.Dropped() == 0 { // the first refusal comes back after the first line
		require.True(t, time.Now().Before(deadline), "nothing was counted")
		l.Info("nobody hears this")
	}

	back, err := net.ListenPacket("udp", addr)
	require.NoError(t, err)
	defer back.Close()
	// One line at most is lost to the refusal of an earlier one.
	l.Info("again")
	l.Info("again")
	require.NoError(t, back.SetReadDeadline(time.Now().Add(10*time.Second)))
	b := make([]byte, maxMessage)
	n, _, err := back.ReadFrom(b)
	require.NoError(t, err)
	assert.Contains(t, string(b[:n]), "msg=again")
}

func TestASyslogServerThatNeverReadsHoldsUpNoLine(t *testing.T) {
	_, addr := server(t) // never reads
	l := syslogTo(t, addr)
	long := strings.Repeat("x", maxMessage)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 {
			l.Info(long)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("a log line waits for the server")
	}
}

func TestSyslogDialThatFailsDropsWhatItKept(t *testing.T) {
	w, err := newSyslogWriter("name.invalid:514", new(atomic.Uint64))
	require.NoError(t, err)
	w.cancel() // the dial ends at once, whatever the resolver would say
	for range 3 {
		_, err = w.Write([]byte("x"))
		require.NoError(t, err)
	}
	w.dials.Wait()
	assert.EqualValues(t, 3, w.dropped.Load())
	require.NoError(t, w.Close())
}

func TestSyslogKeepsABoundedNumberOfLinesForTheFirstDial(t *testing.T) {
	w := &syslogWriter{dialing: true}
	for range maxPending {
		require.True(t, w.sendLocked([]byte("x")))
	}
	require.False(t, w.sendLocked([]byte("x")))
}

func TestLongMessagesAreCutBetweenCharacters(t *testing.T) {
	srv, addr := server(t)
	syslogTo(t, addr).Info(strings.Repeat("é", 3000))
	got := receive(t, srv)
	assert.LessOrEqual(t, len(got), maxMessage)
	assert.Greater(t, len(got), maxMessage-4)
	assert.True(t, utf8.ValidString(got))
}

func TestLinesAfterCloseAreDropped(t *testing.T) {
	_, addr := server(t)
	l := syslogTo(t, addr)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	l.Info("too late")
	assert.EqualValues(t, 1, l.Dropped())
}

func TestSyslogMessagesOfSeveralGoroutinesStayWhole(t *testing.T) {
	srv, addr := server(t)
	l := syslogTo(t, addr)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				l.Info("whole", "k", "v")
			}
		})
	}
	wg.Wait()
	for range 40 - int(l.Dropped()) {
		assert.Regexp(t, `^<30>1 .* - - level=INFO msg=whole k=v$`, receive(t, srv))
	}
}

func TestHeaderField(t *testing.T) {
	assert.Equal(t, "-", headerField("", 48))
	assert.Equal(t, "-", headerField(" \n\x00é", 48))
	assert.Equal(t, "ab", headerField("a b", 48))
	assert.Equal(t, "abc", headerField("abcd", 3))
}
