package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// start starts the daemon with our standard files, and the pipe as its descriptor 3. Our own
// copy of the write end is closed: when the last one is, nobody is left who could serve.
func (s *supervisor) start(o Options) error {
	path, args := o.Path, o.Args
	if path == "" {
		found, err := exec.LookPath(os.Args[0])
		if err != nil {
			return err
		}
		path = found
	}
	if args == nil {
		args = os.Args[1:]
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer write.Close()
	pid, err := syscall.ForkExec(path, slices.Concat(os.Args[:1], args), &syscall.ProcAttr{
		Env:   setEnv(os.Environ(), supervisedEnv+"=1", pipeEnv+"=3"),
		Files: []uintptr{0, 1, 2, write.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		_ = read.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	s.serving = watch(pid)
	return s.listen(read)
}

// setEnv is env with some variables set anew.
func setEnv(env []string, set ...string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(old string) bool {
		name, _, _ := strings.Cut(old, "=")
		return slices.ContainsFunc(set, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	return append(env, set...)
}
