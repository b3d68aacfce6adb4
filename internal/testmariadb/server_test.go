package testmariadb_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testmariadb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerDoesSQLAndGreetsOverTCP(t *testing.T) {
	db := testmariadb.Start(t)
	out, err := db.Exec("CREATE DATABASE d; CREATE TABLE d.t (a INT, b TEXT); INSERT d.t VALUES (1, 'x'), (2, 'y'); SELECT * FROM d.t")
	require.NoError(t, err)
	require.Equal(t, "1\tx\n2\ty", out)
	require.Equal(t, byte(10), greeting(t, db), "the protocol version")
}

func TestExecReturnsTheServersError(t *testing.T) {
	db := testmariadb.Start(t)
	_, err := db.Exec("SELECT nonsense")
	require.ErrorContains(t, err, "Unknown column 'nonsense'")
}

func TestArgumentsReachTheServer(t *testing.T) {
	db := testmariadb.Start(t, "--max-connections=12", "--innodb-buffer-pool-size=16M")
	out, err := db.Exec("SELECT @@max_connections, @@innodb_buffer_pool_size")
	require.NoError(t, err)
	require.Equal(t, "12\t16777216", out)
}

func TestStopAndRestartKeepAddressAndData(t *testing.T) {
	db := testmariadb.Start(t)
	address := db.Address()
	_, err := db.Exec("CREATE DATABASE kept")
	require.NoError(t, err)

	db.Stop()
	db.Stop()
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
	_, err = db.Exec("SELECT 1")
	require.Error(t, err)

	require.NoError(t, db.Restart())
	require.Equal(t, address, db.Address())
	out, err := db.Exec("SHOW DATABASES LIKE 'kept'")
	require.NoError(t, err)
	require.Equal(t, "kept", out)

	db.Kill()
	require.NoError(t, db.Restart())
	require.Equal(t, byte(10), greeting(t, db))
}

func TestPausedServerAcceptsAndSaysNothing(t *testing.T) {
	db := testmariadb.Start(t)
	db.Pause()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", db.Address())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		_, err = conn.Read(make([]byte, 1))
		return err != nil && os.IsTimeout(err)
	}, 5*time.Second, 10*time.Millisecond)
	db.Resume()
	require.Equal(t, byte(10), greeting(t, db))
}

func TestServersOfOneTestAreApart(t *testing.T) {
	a, b := testmariadb.Start(t), testmariadb.Start(t)
	require.NotEqual(t, a.Address(), b.Address())
	_, err := a.Exec("CREATE DATABASE only_here")
	require.NoError(t, err)
	out, err := b.Exec("SHOW DATABASES LIKE 'only_here'")
	require.NoError(t, err)
	require.Empty(t, out)
}

func TestNothingIsLeftAfterTheTest(t *testing.T) {
	var address, socket, log string
	t.Run("inner", func(t *testing.T) {
		db := testmariadb.Start(t)
		address, socket, log = db.Address(), db.Socket(), db.LogPath()
		require.FileExists(t, log)
	})
	require.NoFileExists(t, log)
	require.NoFileExists(t, socket)
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

// greeting returns the first byte that the server says after the header of the packet.
func greeting(t *testing.T, db *testmariadb.Server) byte {
	t.Helper()
	conn, err := net.Dial("tcp", db.Address())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	packet := make([]byte, 5)
	_, err = io.ReadFull(conn, packet)
	require.NoError(t, err)
	return packet[4]
}
