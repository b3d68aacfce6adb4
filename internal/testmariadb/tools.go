package testmariadb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrMissing says that a program of MariaDB is not there. The error that wraps it
// tells what to do.
var ErrMissing = errors.New("MariaDB not found")

// execTimeout is how long one call of Exec may take.
const execTimeout = 20 * time.Second

// tools are the paths of the programs that the package runs.
type tools struct{ server, install, client string }

// findTools looks for all programs.
func findTools() (found tools, err error) {
	for name, path := range map[string]*string{
		"mariadbd": &found.server, "mariadb-install-db": &found.install, "mariadb": &found.client,
	} {
		if *path, err = find(name); err != nil {
			return found, err
		}
	}
	return found, nil
}

// find looks for a program in PATH, and where Debian puts servers.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if err == nil {
			return path, nil
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	if err != nil {
		return "", fmt.Errorf("testmariadb: %w (looked for %q): install it with `apt-get install mariadb-server`, "+
			"or run `make test`, which does it", ErrMissing, name)
	}
	return path, nil
}

// Exec runs SQL statements as root over the unix socket, with the program mariadb.
// It returns the rows as lines, with tabs between the columns, without headers and
// without the last line's end. The error has the server's text.
func (s *Server) Exec(sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), execTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.tools.client, "--no-defaults", "--socket="+s.Socket(), "--user=root",
		"--batch", "--skip-column-names", "--execute="+sql)
	cmd.Env = append(os.Environ(), "MYSQL_HISTFILE=/dev/null")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("testmariadb: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
