package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"samaritan/config"
)

const (
	defaultConfig = "/etc/samaritan.yaml"
	defaultDrain  = 10 * time.Second
	pidFileName   = "samaritan.pid"
)

// options are the command line.
type options struct {
	config  string
	id      string
	service string
	data    string
	dataSet bool // data was given, and is trusted to be what it is
	pidFile string
	version bool
	check   bool
	watch   bool          // the config file
	workers int           // at least 1
	drain   time.Duration // at least 0
	// restartTimeout is how long the new process of a hot restart may take to be ready.
	restartTimeout time.Duration
	supervise      bool
	binary         string // path of this program, as it was started
}

// parseFlags reads the command line. What is wrong with it has been written to
// stderr, with the usage, when it returns an error.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("samaritan", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.config, "config", defaultConfig, "config `file`, YAML or JSON; read again on SIGUSR1 and POST /ops/reload")
	flags.BoolVar(&o.watch, "watch", false, "watch the config file, and reload it when its content changes")
	flags.StringVar(&o.id, "id", "", "`id` of this instance; overrides instance.id, at each reload too")
	flags.StringVar(&o.service, "service", "", "`name` of the service that this instance belongs to; overrides instance.belong, at each reload too")
	flags.StringVar(&o.data, "data", "", "`directory` for run-time files (default "+defaultDataDir()+")")
	flags.StringVar(&o.pidFile, "pidfile", "", "pid `file` (default "+pidFileName+" in the -data directory)")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	flags.BoolVar(&o.check, "check", false, "check the config file, print every problem and exit")
	flags.IntVar(&o.workers, "workers", max(1, runtime.GOMAXPROCS(0)/2), "most event loops of Redis services, at least 1")
	flags.DurationVar(&o.drain, "drain", defaultDrain, "how long requests in flight may take to finish at the end")
	flags.DurationVar(&o.restartTimeout, "restart-timeout", defaultRestartTimeout, "how long the new process of a hot restart may take to be ready")
	flags.BoolVar(&o.supervise, "supervise", false, "start as a small supervisor, whose pid stays the same over hot restarts; as pid 1 it is always so")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if err := o.complete(flags.Args()); err != nil {
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return options{}, err
	}
	return o, nil
}

// complete checks the flags and fills in what depends on others.
func (o *options) complete(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.config == "":
		return errors.New("-config must not be empty")
	case o.workers < 1:
		return errors.New("-workers must be at least 1")
	case o.drain < 0:
		return errors.New("-drain must not be negative")
	case o.restartTimeout <= 0:
		return errors.New("-restart-timeout must be above 0")
	}
	o.drain = min(o.drain, config.LongestDuration) // more time is added to it
	o.dataSet = o.data != ""
	if !o.dataSet {
		o.data = defaultDataDir()
	}
	if o.pidFile == "" {
		o.pidFile = filepath.Join(o.data, pidFileName)
	}
	return nil
}

// ownPath is the path that this program was started by, so that a restart finds what is
// there then: another binary, or that which a symbolic link points to now.
func ownPath(arg0 string) (string, error) {
	if path, err := exec.LookPath(arg0); err == nil {
		return filepath.Abs(path)
	}
	return os.Executable()
}

// defaultDataDir is /run/samaritan for root, and $XDG_RUNTIME_DIR/samaritan for
// others. Where there is no such directory it is one in the directory for
// temporary files, named after the user.
func defaultDataDir() string {
	if os.Getuid() == 0 {
		return "/run/samaritan"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "samaritan")
	}
	return filepath.Join(os.TempDir(), "samaritan-"+strconv.Itoa(os.Getuid()))
}
