// Package logging builds the process's [slog.Logger] from the log section of
// the config, and throttles what the data plane logs.
//
// A [Logger] is the logger, its level, which may change at run time, and its
// output: text lines on standard output, or RFC 5424 messages to a syslog
// server over UDP. Syslog never waits: a line that cannot be sent at once is
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
	"os"
	"strings"
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

// Logger is the process's logger with what can change or be asked about it.
type Logger struct {
	*slog.Logger

	level  *slog.LevelVar
	syslog *syslogWriter // nil for Stdout
}

// New builds the logger. The errors are an unknown level or output and a
// target that is not "host:port". A syslog server that is away, or a host name
// that does not resolve, is no error.
func New(o Options) (*Logger, error) {
	level, err := ParseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	l := &Logger{level: new(slog.LevelVar)}
	l.level.Set(level)
	handler, err := l.handler(o)
	if err != nil {
		return nil, err
	}
	l.Logger = slog.New(handler)
	return l, nil
}

func (l *Logger) handler(o Options) (slog.Handler, error) {
	switch o.Output {
	case Stdout:
		w := o.Writer
		if w == nil {
			w = os.Stdout // house: this is the logger that everyone else uses
		}
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: l.level}), nil
	case Syslog:
		w, err := newSyslogWriter(o.Target)
		if err != nil {
			return nil, err
		}
		l.syslog = w
		return newSyslogHandler(w, l.level, o.App), nil
	}
	return nil, fmt.Errorf("log output %d is unknown", o.Output)
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

// Dropped is how many lines could not be sent to the syslog server. It is safe
// for use from any goroutine.
func (l *Logger) Dropped() uint64 {
	if l.syslog == nil {
		return 0
	}
	return l.syslog.dropped.Load()
}

// Close ends the syslog connection; lines after it are dropped and counted. It
// is idempotent, and does nothing for Stdout.
func (l *Logger) Close() error {
	if l.syslog == nil {
		return nil
	}
	return l.syslog.Close()
}

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
