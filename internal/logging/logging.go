// Package logging builds the process's [slog.Logger] from the log section of
// the config, and throttles what the data plane logs.
//
// A [Logger] is the logger, its level and its output: text lines on standard
// output, or RFC 5424 messages to a syslog server over UDP. Level and output may
// change at run time, for all loggers that were derived from it too, and no line
// is lost by that. Syslog never waits: a line that cannot be sent at once is
// dropped and counted. Standard output does wait, as a write to a full pipe
// does.
//
// A [Throttle] wraps a slog.Logger where one fault can cause many lines.
//
// The package does not know the config's types, and starts no goroutine but
// the short one that dials a syslog server.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
)

// LevelQuiet is above every level: nothing is logged.
const LevelQuiet = slog.Level(1 << 20)

// Output is where the lines go.
type Output uint8

const (
	// Stdout writes text lines (key=value) to Options.Writer.
	Stdout Output = iota
	// Syslog sends to Options.Target.
	Syslog
)

// Options are the log section of the config.
type Options struct {
	// Level is a name that [ParseLevel] knows; "" is INFO.
	Level  string
	Output Output
	// Target is the "host:port" of the syslog server (UDP).
	Target string
	// App is the name of the program in syslog messages; "" is "samaritan".
	App string
	// Writer takes the place of os.Stdout, in tests.
	Writer io.Writer
}

// Logger is the process's logger with what can change or be asked about it. All
// methods are safe for use from any goroutine.
type Logger struct {
	*slog.Logger

	level   slog.LevelVar
	out     atomic.Pointer[output]
	dropped atomic.Uint64 // of all outputs that there were
}

// New builds the logger. The errors are an unknown level or output and a
// target that is not "host:port". A syslog server that is away, or a host name
// that does not resolve, is no error.
func New(o Options) (*Logger, error) {
	level, err := ParseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	l := &Logger{}
	l.level.Set(level)
	out, err := l.newOutput(o)
	if err != nil {
		return nil, err
	}
	l.out.Store(out)
	l.Logger = slog.New(&handler{logger: l})
	return l, nil
}

// SetLevel changes the level, for every logger derived from l too.
func (l *Logger) SetLevel(name string) error {
	level, err := ParseLevel(name)
	if err != nil {
		return err
	}
	l.level.Set(level)
	return nil
}

// Level is the level in force.
func (l *Logger) Level() slog.Level { return l.level.Level() }

// LevelName is the level in force by a name that SetLevel knows.
func (l *Logger) LevelName() string {
	if level := l.Level(); level != LevelQuiet {
		return level.String()
	}
	return "QUIET"
}

// Dropped is how many lines could not be sent to a syslog server.
func (l *Logger) Dropped() uint64 { return l.dropped.Load() }

// Close ends the syslog connection; lines after it are dropped and counted. It
// is idempotent, and does nothing for Stdout.
func (l *Logger) Close() error { return l.out.Load().close() }

// ParseLevel turns a level of the config into slog's, whatever the case of its
// letters. WARING is the historic spelling of WARN in config files and means
// the same, as does WARNING; "" is INFO and QUIET is [LevelQuiet].
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToUpper(name) {
	case "DEBUG":
		return slog.LevelDebug, nil
	case "INFO", "":
		return slog.LevelInfo, nil
	case "WARING", "WARN", "WARNING":
		return slog.LevelWarn, nil
	case "ERROR":
		return slog.LevelError, nil
	case "QUIET":
		return LevelQuiet, nil
	}
	return 0, fmt.Errorf("log level %q is unknown (DEBUG, INFO, WARN, ERROR or QUIET)", name)
}
