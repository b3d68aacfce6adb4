// Package testmariadb runs real MariaDB servers for tests.
//
//	db := testmariadb.Start(t)
//	_, err := db.Exec("CREATE USER checker")
//	conn, err := net.Dial("tcp", db.Address())
//
// # Model
//
// A [Server] is one mariadbd process, which may be down at the moment, and what
// outlives it: its address on 127.0.0.1, its data directory and its unix socket.
// It belongs to the test that started it and is killed at the test's end. A test
// that fails gets the end of the server's log. The user root has no password, on
// the unix socket and on 127.0.0.1.
//
// The programs come from Debian's package mariadb-server, which
// scripts/install-test-deps.sh installs. Without them tests fail; they are not
// skipped. Nothing needs root: the server runs as the user who runs the test,
// root included.
//
// # Who owns what
//
// Each run of a server has one goroutine, locked to its thread, that forks it and
// reaps it. The kernel kills a server when that thread ends, so also when the test
// process is killed. The goroutine has ended when Stop, Kill or the test returns.
//
// A new data directory takes MariaDB more than a second. So one is made per
// process, kept in memory (about 20 MiB) and written out for each server.
//
// All methods are safe for concurrent use.
package testmariadb
