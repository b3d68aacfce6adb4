package redis

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProtocolErrorIsMutedLikeACommand: a protocol error has no reply when a command in
// its place had none, whatever was before that.
func TestProtocolErrorIsMutedLikeACommand(t *testing.T) {
	t.Parallel()
	p := startProxy(t, proxyOptions{}, startStub(t).Addr).ready(t)
	const text = "-ERR Protocol error: expected '$', got 'n'\r\n"
	for _, test := range []struct{ before, want string }{
		{"", text},
		{commands("CLIENT REPLY OFF"), ""},
		{commands("CLIENT REPLY OFF", "PING"), ""},
		{commands("CLIENT REPLY SKIP"), ""},
		{commands("CLIENT REPLY SKIP", "PING"), text},
		{commands("CLIENT REPLY SKIP", "PING", "PING"), "+PONG\r\n" + text},
	} {
		conn := dialWire(t, p.Addr)
		_, err := io.WriteString(conn, test.before+"*1\r\nnonsense\r\n")
		require.NoError(t, err)
		out, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, test.want, string(out), "%q", test.before)
	}
}
