package child

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListenersOfAPortAreCounted(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	n, err := Listeners(port)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	conn, err := net.Dial("tcp", first.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	n, err = Listeners(port)
	require.NoError(t, err)
	assert.Equal(t, 1, n, "a connection does not listen")
	require.NoError(t, first.Close())
	n, err = Listeners(port)
	require.NoError(t, err)
	assert.Zero(t, n)
}
