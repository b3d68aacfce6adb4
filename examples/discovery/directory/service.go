package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ghodss/yaml"

	"samaritan/config"
)

const (
	// A service file is checked as the only entry of static_services in a config
	// file. There, the admin server takes no address that the service may want.
	header = "admin: {bind: {ip: 127.0.0.1, port: 0}}\nstatic_services:\n-\n"
	entry  = "static_services[0]"
)

// headerLines is how many lines the text of a file is moved down by.
var headerLines = strings.Count(header, "\n")

// parseService reads a service file. The error is of the type config.Problems.
//
// The text is looked at twice. First as it is, so that problems have their lines;
// then, if it is good, as JSON, with the name that it lacks.
func parseService(file, name string, text []byte) (*config.Service, error) {
	fields, err := fieldsOf(text)
	own, hasName := fields["name"]
	if _, perr := config.Parse(file, wrap(text)); perr != nil {
		if problems := unwrap(perr, hasName); len(problems) > 0 {
			return nil, problems
		}
	}
	if err != nil { // no text is both bad and without problems
		return nil, config.Problems{{File: file, Msg: err.Error()}}
	}
	quoted, _ := json.Marshal(name)
	if hasName && !bytes.Equal(own, quoted) {
		return nil, config.Problems{{File: file, Path: "name", Msg: fmt.Sprintf("must be %q like the file, or be left out", name)}}
	}
	fields["name"] = quoted
	return build(file, fields)
}

// fieldsOf returns the fields of the top level as JSON.
func fieldsOf(text []byte) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	text, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text, &fields)
}

// build makes the service from fields that are complete. What can be wrong still
// is the name of the file.
func build(file string, fields map[string]json.RawMessage) (*config.Service, error) {
	whole, err := json.Marshal(map[string]any{
		"admin":           map[string]any{"bind": map[string]any{"ip": "127.0.0.1", "port": 0}},
		"static_services": []any{fields},
	})
	if err != nil {
		return nil, config.Problems{{File: file, Msg: err.Error()}}
	}
	b, err := config.Parse(file, whole)
	if err != nil {
		return nil, unlined(unwrap(err, true))
	}
	return b.Services[0], nil
}

// unlined drops the lines, which are those of a text that nobody wrote.
func unlined(problems config.Problems) config.Problems {
	for i := range problems {
		problems[i].Line = 0
	}
	return problems
}

// wrap puts the text into a config file, one level further in. What it lacks then
// is a name.
func wrap(text []byte) []byte {
	var b bytes.Buffer
	b.WriteString(header)
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	begun := false
	for line := range bytes.Lines(text) {
		if !begun && bytes.Equal(bytes.TrimSpace(line), []byte("---")) {
			line = []byte("\n") // it cannot stand further in
		}
		begun = begun || !isBlank(line)
		b.WriteString("  ")
		b.Write(line)
	}
	return b.Bytes()
}

// isBlank tells whether a line has nothing but a comment.
func isBlank(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || line[0] == '#'
}

// unwrap makes problems of the wrapped text those of the file. That it has no name
// is none, unless it was meant to have one.
func unwrap(err error, hasName bool) config.Problems {
	var all, own config.Problems
	if !errors.As(err, &all) {
		return config.Problems{{Msg: err.Error()}}
	}
	for _, p := range all {
		if p.Path == entry+".name" && !hasName {
			continue
		}
		p.Line = max(p.Line-headerLines, 0)
		p.Path = strings.TrimPrefix(strings.TrimPrefix(p.Path, entry), ".")
		p.Msg = lineRef.ReplaceAllStringFunc(strings.ReplaceAll(p.Msg, entry+".", ""), moveUp)
		own = append(own, p)
	}
	return own
}

// lineRef is where a message of package config refers to another line.
var lineRef = regexp.MustCompile(`(first in line |\(line )\d+`)

func moveUp(ref string) string {
	i := strings.LastIndexByte(ref, ' ') + 1
	n, err := strconv.Atoi(ref[i:])
	if err != nil || n <= headerLines {
		return ref
	}
	return ref[:i] + strconv.Itoa(n-headerLines)
}
