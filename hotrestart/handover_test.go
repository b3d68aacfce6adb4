package hotrestart

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// listeners are listening sockets of this process.
func listeners(t *testing.T, n int) []Listener {
	t.Helper()
	var all []Listener
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		f, err := l.(*net.TCPListener).File()
		require.NoError(t, err)
		all = append(all, Listener{"tcp", fmt.Sprintf("localhost:%d", i), f})
		t.Cleanup(func() { _, _ = l.Close(), f.Close() })
	}
	return all
}

func TestChildTakesOver(t *testing.T) {
	keepsFiles(t)
	succ, c := begun(t, "good")
	assert.Equal(t, fmt.Sprintf("%d v1 true", os.Getpid()), c.await("parent "))
	assert.Equal(t, "v2", succ.Version())
	ok, why := succ.MovesClients()
	assert.True(t, ok, why)

	all := listeners(t, 200) // more than one message has
	require.NoError(t, succ.Offer(all, map[string]int{"generation": 7}))
	for i, l := range all {
		assert.Equal(t, fmt.Sprintf("tcp localhost:%d true", i), c.await("listener "), "in order, non-blocking")
		assert.True(t, nonblocking(l.File), "the parent still accepts from it")
	}
	assert.Equal(t, `{"generation":7}, <nil>`, c.await("welcome"))

	var texts []string
	require.NoError(t, succ.AwaitReady(withPatience(t), func(text string) { texts = append(texts, text) }))
	for _, text := range texts {
		assert.Contains(t, []string{"connecting", "connected"}, text)
	}
	assert.LessOrEqual(t, len(texts), 2, "the same text is not sent again")

	state := bytes.Repeat([]byte("s"), 50_000)
	require.NoError(t, succ.Go(withPatience(t), state))
	assert.Equal(t, string(state)+", <nil>", c.await("go "))

	cl := newClient(t)
	require.NoError(t, cl.give(succ, "cache", []byte("resp3"), []byte("*1\r\n")))
	cl.leave()
	cl.hears("cache resp3 4\n")
	cl.echoes("hello")

	require.NoError(t, succ.Update([]byte("totals")))
	assert.Equal(t, "totals", c.await("update "))
	require.NoError(t, succ.Finish())
	assert.Equal(t, "<nil>", c.await("served "))
	requireAlive(t, succ)
	cl.echoes("still served")
	select {
	case <-succ.Gone():
	default:
		t.Error("not closed after Finish")
	}
	assert.ErrorIs(t, cl.give(succ, "cache", nil, nil), ErrGone)
}

func TestEmptyStateAndNoListeners(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "good")
	assert.Equal(t, "null, <nil>", c.await("welcome"))
	assert.Equal(t, ", <nil>", c.await("go"))
	cl := newClient(t)
	require.NoError(t, cl.give(succ, "s", nil, nil))
	cl.leave()
	cl.hears("s  0\n")
}

func TestSessionThatIsRefusedStays(t *testing.T) {
	keepsFiles(t)
	succ, _ := taken(t, "good")
	cl := newClient(t)
	var refused *RefusedError
	require.ErrorAs(t, cl.give(succ, "refused", []byte("state"), []byte("input")), &refused)
	assert.Equal(t, "no service refused", refused.Reason)
	cl.isServedHere()

	require.NoError(t, cl.give(succ, "cache", nil, nil), "the next one goes well")
	cl.leave()
	cl.hears("cache  0\n")
	cl.echoes("hello")
}

func TestDescriptorThatIsNoneIsRefusedWithoutHarm(t *testing.T) {
	keepsFiles(t)
	succ, _ := taken(t, "good")
	bad := &client{t: t, fd: 1 << 20}
	var refused *RefusedError
	require.ErrorAs(t, bad.give(succ, "s", nil, nil), &refused)
	cl := newClient(t)
	require.NoError(t, cl.give(succ, "s", nil, nil))
}

func TestChildWithoutRoomForDescriptorsRefuses(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "starved")
	cl := newClient(t)
	var refused *RefusedError
	require.ErrorAs(t, cl.give(succ, "s", nil, nil), &refused)
	assert.Equal(t, unix.EMFILE.Error(), refused.Reason)
	cl.isServedHere()

	require.NoError(t, succ.Update(nil))
	c.await("more files")
	require.NoError(t, cl.give(succ, "s", nil, nil))
	cl.leave()
	cl.hears("s  0\n")
	require.NoError(t, succ.Finish())
	c.await("alone")
}

func TestSessionsOfAnotherVersionStay(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "good", "HOTRESTART_TEST_SESSIONS=2")
	ok, why := succ.MovesClients()
	assert.False(t, ok)
	assert.Equal(t, "sessions are of version 1 here and 2 there", why)
	assert.Contains(t, c.await("parent "), "false sessions are of version 2 here and 1 there")
	cl := newClient(t)
	var refused *RefusedError
	require.ErrorAs(t, cl.give(succ, "s", nil, nil), &refused)
	assert.Equal(t, why, refused.Reason)
	cl.isServedHere()
	require.NoError(t, succ.Update([]byte("totals")))
	c.await("update totals")
	require.NoError(t, succ.Finish())
	c.await("served <nil>")
}

func TestProtocolOfAnotherVersionMovesNoSessions(t *testing.T) {
	assert.NotEmpty(t, hello{Protocol: 1}.differs(hello{Protocol: 2}))
	assert.Empty(t, hello{1, 5, "a"}.differs(hello{1, 5, "b"}))
}

func TestHundredMegabytesOfInput(t *testing.T) {
	keepsFiles(t)
	succ, _ := taken(t, "good")
	input := make([]byte, 100<<20)
	cl := newClient(t)
	begin := time.Now()
	require.NoError(t, cl.give(succ, "s", []byte("state"), input))
	t.Logf("100 MiB of input took %v", time.Since(begin))
	cl.leave()
	cl.hears(fmt.Sprintf("s state %d\n", len(input)))
}

func TestMessageAboveTheLimitIsRefusedWithoutHarm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the address space of a gigabyte")
	}
	keepsFiles(t)
	succ, _ := taken(t, "good")
	cl := newClient(t)
	var refused *RefusedError
	require.ErrorAs(t, cl.give(succ, "s", nil, make([]byte, maxRaw+1)), &refused) // never touched
	cl.isServedHere()
	require.NoError(t, cl.give(succ, "s", nil, nil))
}

func TestTenThousandSessions(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "good")
	const sessions = 10_000
	cl := newClient(t) // the same one again and again: it is the descriptors in the child that count
	answers := make(chan error, sessions)
	begin := time.Now()
	for range sessions {
		succ.Give("quiet", cl.fd, []byte(`{"id":1,"name":"someone","resp":2}`), nil, func(err error) { answers <- err })
	}
	for range sessions {
		require.NoError(t, <-answers)
	}
	t.Logf("%d sessions took %v", sessions, time.Since(begin))
	require.NoError(t, succ.Finish())
	c.await("served <nil>")
}
