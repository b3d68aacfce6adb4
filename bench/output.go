package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/report"
)

// Programs that the benchmark runs, found in PATH.
const (
	twemproxyBinary = "nutcracker"
	redisBinary     = "redis-server"
)

// newReport makes a report without figures.
func (s *stage) newReport(ctx context.Context) (report.Report, error) {
	m, err := s.machine(ctx)
	return report.Report{
		Date: time.Now(), Machine: m,
		Rounds: s.options.rounds, Seconds: s.options.duration.Seconds(),
		Limits: report.Limits(budgetRSS, budgetPerConnection, budgetReady),
	}, err
}

// machine describes where the benchmark runs.
func (s *stage) machine(ctx context.Context) (report.Machine, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return report.Machine{}, err
	}
	m := report.Machine{
		CPU: child.CPUModel(), Cores: runtime.NumCPU(), Kernel: unix.ByteSliceToString(uts.Release[:]),
		Pinned: s.options.pin, Go: strings.TrimPrefix(runtime.Version(), "go"),
		Connected: fmt.Sprintf("%d masters", masters),
	}
	return m, s.versions(ctx, &m)
}

// versions asks the programs that take part for theirs.
func (s *stage) versions(ctx context.Context, m *report.Machine) error {
	redis, err1 := s.starter.Output(ctx, redisBinary, "--version")
	m.Redis = "Redis " + field(string(redis), "v=")
	var err2, err3 error
	if s.options.has(report.Peer) || s.options.standIn {
		var out []byte
		out, err2 = s.starter.Output(ctx, "sh", "-c", twemproxyBinary+" --version 2>&1")
		m.Peer = "twemproxy " + field(string(out), "nutcracker-")
	}
	switch {
	case s.options.standIn:
		m.Subject = m.Peer + " as a stand-in"
	case s.options.has(report.Subject):
		var out []byte
		out, err3 = s.starter.Output(ctx, s.options.proxy, "-version")
		m.Subject = firstLine(string(out))
	}
	return errors.Join(err1, err2, err3)
}

// field returns the word that begins after mark, "unknown" if there is none.
func field(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return "unknown"
	}
	return words[0]
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// write prints the tables and writes the files that were asked for.
func write(out io.Writer, o options, r report.Report) error {
	tables := []string{r.LoadTable(), r.FootprintTable()}
	if _, err := fmt.Fprintln(out, strings.TrimSpace(strings.Join(tables, "\n"))); err != nil {
		return err
	}
	return errors.Join(writeDocs(o.docs, r), writeJSON(o.json, r))
}

// writeDocs writes the page and the picture.
func writeDocs(dir string, r report.Report) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const picture = "benchmark.svg"
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "benchmark.md"), []byte(r.Markdown(picture)), 0o644),
		os.WriteFile(filepath.Join(dir, picture), []byte(r.SVG()), 0o644),
	)
}

// writeJSON writes every figure.
func writeJSON(path string, r report.Report) error {
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
