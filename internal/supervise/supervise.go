package supervise

import (
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// supervisedEnv in the environment tells a process that it is the daemon.
	supervisedEnv = "__Samaritan_Supervised__"
	// pipeEnv has the number of the descriptor to announce on.
	pipeEnv = "__Samaritan_Supervisor_FD__"
)

// exitUnknown is the exit code when that of the daemon is not known, or there was none.
const exitUnknown = 1

// Options are what [Run] needs to know.
type Options struct {
	// Path is the program to start; empty: that of this process, found as it was found
	// then, by os.Args[0].
	Path string
	// Args are the arguments without the name of the program; nil: those of this
	// process. The flag that asks for supervision may stay among them, as the daemon is
	// not [Wanted] to supervise.
	Args []string
	// Log gets what is not as it should be, and nothing else; nil: slog.Default().
	Log *slog.Logger
}

// Wanted tells whether this process has to supervise: it is process 1, or the flag asks for
// it, and it is not itself supervised. In a daemon it keeps the pipe to the supervisor from
// programs that are started without it, so it has to be called before anything is started.
func Wanted(flag bool) bool {
	if os.Getenv(supervisedEnv) != "" {
		_, _ = line() // Announce and the others tell what is wrong with it
		return false
	}
	return flag || os.Getpid() == 1
}

// Run starts the daemon, supervises it and those that follow it, and returns the exit code
// for this process: that of the last one that served, and 1 when none could be started.
func Run(o Options) (exitCode int) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil && os.Getpid() != 1 {
		o.Log.Error("cannot become the parent of orphans, a hot restart will look like the end", "error", err)
	}
	s := newSupervisor(o.Log)
	s.catch() // before there is a daemon, so that no signal is lost
	defer s.close()
	if err := s.start(o); err != nil {
		o.Log.Error("cannot start the daemon", "error", err)
		return exitUnknown
	}
	if err := becomeSmall(); err != nil {
		o.Log.Warn("the supervisor takes more memory than it needs", "error", err)
	}
	return s.run()
}
