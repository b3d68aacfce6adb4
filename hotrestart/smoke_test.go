package hotrestart

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSmoke(t *testing.T) {
	keepsFiles(t)
	succ, c := begun(t, "good")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, succ.Offer([]Listener{{"tcp", "x:1", f}}, map[string]int{"a": 1}))
	l.Close()
	f.Close()
	var texts []string
	require.NoError(t, succ.AwaitReady(withPatience(t), func(s string) { texts = append(texts, s) }))
	require.NoError(t, succ.Go(withPatience(t), []byte("state")))
	a, b := pair(t)
	got := make(chan error, 1)
	succ.Give("svc", a, []byte("st"), []byte("input"), func(err error) { got <- err })
	require.NoError(t, <-got)
	unix.Close(a)
	buf := make([]byte, 100)
	n, err := unix.Read(b, buf)
	require.NoError(t, err)
	require.Equal(t, "svc st 5\n", string(buf[:n]))
	unix.Close(b)
	require.NoError(t, succ.Update([]byte("up")))
	require.NoError(t, succ.Finish())
	c.await("alone")
}
