package health

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testmariadb"
)

func TestMySQLChecksARealServer(t *testing.T) {
	db := testmariadb.Start(t)
	exec(t, db, "CREATE USER checker; CREATE USER locked IDENTIFIED BY 'secret'; CREATE USER gone ACCOUNT LOCK;"+
		"INSTALL SONAME 'auth_ed25519'; CREATE USER other IDENTIFIED VIA ed25519 USING PASSWORD('secret');"+
		"CREATE USER local IDENTIFIED VIA unix_socket;"+
		"CREATE USER twofold IDENTIFIED VIA ed25519 USING PASSWORD('secret') OR mysql_native_password USING ''")
	for _, user := range []string{"checker", "twofold", ""} { // twofold: after two AuthSwitchRequests
		require.NoError(t, checkOf(t, mysqlCheck(user), db.Address()), user)
	}
	for user, want := range map[string]string{
		"locked": `log in as "locked": error 1045: Access denied for user 'locked'@'localhost' (using password: NO)`,
		"gone":   "error 4151: Access denied, this account is locked",
		"other":  "Access denied", // after an AuthSwitchRequest
		"local":  "Access denied",
		"nobody": `log in as "nobody": error 1045: Access denied for user 'nobody'@'localhost' (using password: NO)`,
	} {
		require.ErrorContains(t, checkOf(t, mysqlCheck(user), db.Address()), want, user)
	}

	db.Stop()
	require.ErrorContains(t, checkOf(t, mysqlCheck("checker"), db.Address()), "connection refused")
	require.NoError(t, db.Restart())
	require.NoError(t, checkOf(t, mysqlCheck("checker"), db.Address()))
	db.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	k, err := NewChecker(mysqlCheck("checker"))
	require.NoError(t, err)
	require.ErrorContains(t, k.Check(ctx, db.Address()), "read the greeting: ")
}

func TestMySQLSeesThatThereAreTooManyConnections(t *testing.T) {
	db := testmariadb.Start(t, "--max-connections=10")
	exec(t, db, "CREATE USER checker")
	for range 11 { // one more than allowed is for an administrator
		conn, err := net.Dial("tcp", db.Address())
		require.NoError(t, err)
		defer conn.Close()
	}
	for _, user := range []string{"checker", ""} {
		require.Eventually(t, func() bool {
			err := checkOf(t, mysqlCheck(user), db.Address())
			return err != nil && strings.Contains(err.Error(), "error 1040: Too many connections")
		}, 5*time.Second, 10*time.Millisecond)
	}
}

// TestMySQLChecksDoNotCountAsAborted looks at the counters of the server. Those of
// logins that did not succeed are no way to the block of a host, those of the
// handshake are.
func TestMySQLChecksDoNotCountAsAborted(t *testing.T) {
	db := testmariadb.Start(t)
	exec(t, db, "CREATE USER checker")
	for range 5 {
		require.NoError(t, checkOf(t, mysqlCheck("checker"), db.Address()))
	}
	require.Equal(t, "0", counter(t, db, "Aborted_connects"))
	for range 5 {
		require.NoError(t, checkOf(t, mysqlCheck(""), db.Address()))
	}
	require.Equal(t, "0", counter(t, db, "Aborted_connects_preauth"))
	require.Equal(t, "0", counter(t, db, "Aborted_clients"))
}

// TestMySQLChecksDoNotBlockTheHost goes by an address that is not a loopback one: the
// server keeps no count of those.
func TestMySQLChecksDoNotBlockTheHost(t *testing.T) {
	host := outerAddress(t)
	db := testmariadb.Start(t, "--bind-address=0.0.0.0", "--max-connect-errors=3")
	exec(t, db, "CREATE USER checker")
	_, port, err := net.SplitHostPort(db.Address())
	require.NoError(t, err)
	address := net.JoinHostPort(host, port)
	for i := range 10 {
		require.NoError(t, checkOf(t, mysqlCheck(""), address), "check %d", i)
	}
	require.NoError(t, checkOf(t, mysqlCheck("checker"), address))

	for range 3 { // this is how a host is blocked
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	for _, user := range []string{"", "checker"} { // a login that came too early would set the count to zero
		require.Eventually(t, func() bool {
			err := checkOf(t, mysqlCheck(user), address)
			return err != nil && strings.Contains(err.Error(), fmt.Sprintf("error 1129: Host '%s' is blocked", host))
		}, 5*time.Second, 10*time.Millisecond)
	}
}

// outerAddress returns an IPv4 address of this machine that is not a loopback one.
func outerAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no network")
	return ""
}

func exec(t *testing.T, db *testmariadb.Server, sql string) string {
	t.Helper()
	out, err := db.Exec(sql)
	require.NoError(t, err)
	return out
}

// counter returns a status variable of the server.
func counter(t *testing.T, db *testmariadb.Server, name string) string {
	t.Helper()
	row := exec(t, db, "SHOW GLOBAL STATUS LIKE '"+name+"'")
	_, value, _ := strings.Cut(row, "\t")
	return value
}
