package hotrestart

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The environment of a child.
const (
	// EnvParent has the pid of the parent.
	EnvParent = "__Samaritan_Parent__"
	// EnvSocket has the path of the socket to meet it at.
	EnvSocket = "__Samaritan_Parent_Socket__"

	// envWatchdog would have the library of systemd believe that the watchdog is another
	// process's to serve.
	envWatchdog = "WATCHDOG_PID"
)

// clean is the environment without what belongs to this process only.
func clean(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == EnvParent || name == EnvSocket || name == envWatchdog
	})
}

func childEnv(env []string, socket string) []string {
	return append(clean(env), EnvParent+"="+strconv.Itoa(os.Getpid()), EnvSocket+"="+socket)
}

// parentFromEnv finds out who has started this process, and has its own children not
// see it. The pid is 0 when nobody says to be the parent.
func parentFromEnv() (pid int, socket string, err error) {
	parent, ok := os.LookupEnv(EnvParent)
	socket = os.Getenv(EnvSocket)
	for _, name := range []string{EnvParent, EnvSocket} {
		if err := os.Unsetenv(name); err != nil {
			return 0, "", fmt.Errorf("unset %s: %w", name, err)
		}
	}
	if !ok {
		return 0, "", nil
	}
	pid, err = strconv.Atoi(parent)
	if err != nil || pid <= 0 {
		return 0, "", fmt.Errorf("%s is %q, not the number of a process", EnvParent, parent)
	}
	if socket == "" {
		return 0, "", fmt.Errorf("%s is set, and %s is not", EnvParent, EnvSocket)
	}
	return pid, socket, nil
}
