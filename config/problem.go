package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxProblems is the most problems that are returned for one input. When there
// are more, the last one returned says how many were left out.
const maxProblems = 100

// Problem is one thing that is wrong with a config.
type Problem struct {
	// File is the name of the input.
	File string
	// Path leads to the field, like static_services[0].config.protocol. It is
	// empty when the problem is with the input as a whole.
	Path string
	// Line counts from 1. It is that of the field, or of the nearest field
	// around one that is missing; 0 when it is not known.
	Line int
	// Msg says what is wrong. It never holds a secret or a line break.
	Msg string
}

// String is "FILE:LINE: PATH: MSG", without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Problems are all that is wrong with a config, ordered by line. It is the
// type of the errors of [Load], [Parse], [ParseService] and [NewService].
type Problems []Problem

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report collects the problems of one input.
type report struct {
	file     string
	lines    map[string]int // path -> line
	problems Problems
	broken   map[string]bool // paths that have a problem
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{}, broken: map[string]bool{}}
}

// add records a problem. Of several problems at one path only the first is
// kept: the others follow from it.
func (r *report) add(path, format string, args ...any) {
	r.addLine(path, r.lineOf(path), format, args...)
}

// addLine is add for a problem whose line is known.
func (r *report) addLine(path string, line int, format string, args ...any) {
	if path != "" && r.broken[path] {
		return
	}
	r.broken[path] = true
	msg := fmt.Sprintf(format, args...)
	r.problems = append(r.problems, Problem{File: r.file, Path: path, Line: line, Msg: msg})
}

// lineOf returns the line of the field at path, or of the nearest one around it.
func (r *report) lineOf(path string) int {
	for path != "" {
		if line := r.lines[path]; line > 0 {
			return line
		}
		path = parentPath(path)
	}
	return 0
}

// isBroken tells whether the field at path, or one around it, has a problem
// already. What is found out about it later is not worth telling.
func (r *report) isBroken(path string) bool {
	for path != "" {
		if r.broken[path] {
			return true
		}
		path = parentPath(path)
	}
	return false
}

// err returns the problems in the order of their lines, nil when there is none.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	if more := len(r.problems) - maxProblems; more > 0 {
		r.problems = append(r.problems[:maxProblems:maxProblems], Problem{File: r.file, Msg: fmt.Sprintf("%d more problems", more)})
	}
	return r.problems
}

// parentPath cuts the last field or index off. The result may end in the middle
// of a quoted name; then it is no one's path, which does no harm.
func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// fieldPath appends a field name that may be anything a user can type.
func fieldPath(path, name string) string {
	if !isPlainName(name) || len(name) > maxClip {
		name = strconv.Quote(clip(name))
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func indexPath(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

func isPlainName(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// maxClip is how many bytes of a value are shown in a problem.
const maxClip = 60

// clip shortens a value that is shown in a problem.
func clip(s string) string {
	if len(s) <= maxClip {
		return s
	}
	return strings.ToValidUTF8(s[:maxClip], "") + "..."
}
