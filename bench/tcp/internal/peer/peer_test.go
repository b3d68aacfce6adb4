package peer

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/benchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

func TestAnswersEndWithTheRequest(t *testing.T) {
	c := dial(t, benchtest.Serve(t, Serve))
	for number, op := range []Op{Echo, Download, Upload, Echo} {
		const count = 3*chunk + 5
		var r, end Request
		r.Set(op, count, uint64(number))
		_, err := c.Write(r[:])
		require.NoError(t, err)
		switch op {
		case Download:
			require.NoError(t, Discard(c, make([]byte, 1000), count))
		case Upload:
			require.NoError(t, Send(c, make([]byte, 1000), count))
		}
		_, err = io.ReadFull(c, end[:])
		require.NoError(t, err)
		assert.Equal(t, r, end)
	}
}

func TestUnknownRequestEndsTheConnection(t *testing.T) {
	c := dial(t, benchtest.Serve(t, Serve))
	_, err := c.Write(make([]byte, Size))
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
}

func TestServerEndsWithItsClientsConnected(t *testing.T) {
	dial(t, benchtest.Serve(t, Serve)) // The context of the test ends before its connections do.
}

func TestAddressInUseIsAnError(t *testing.T) {
	addr := benchtest.Serve(t, Serve)
	assert.ErrorContains(t, Serve(t.Context(), addr), "in use")
}

func TestNoByteTooMany(t *testing.T) {
	var sent bytes.Buffer
	require.NoError(t, Send(&sent, []byte("0123"), 10))
	assert.Equal(t, "0123012301", sent.String())
	require.NoError(t, Discard(&sent, make([]byte, 4), 9))
	assert.Equal(t, "1", sent.String())
	assert.ErrorIs(t, Discard(&sent, make([]byte, 4), 2), io.EOF)
}
