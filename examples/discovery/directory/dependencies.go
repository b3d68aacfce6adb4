package directory

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v2"

	"samaritan/config"
	"samaritan/examples/discovery/server"
)

// parseDependencies reads dependencies.yaml. The error is of the type
// config.Problems. A file without a mapping is one: it may be about to be written,
// and must not take all services from all sidecars. {} does.
func parseDependencies(file string, text []byte) (map[string][]string, error) {
	var lists map[string]names
	err := yaml.UnmarshalStrict(text, &lists)
	var several *yaml.TypeError
	if errors.As(err, &several) {
		var problems config.Problems
		for _, msg := range several.Errors {
			problems = append(problems, lined(file, msg))
		}
		return nil, problems
	}
	if err != nil {
		p := lined(file, err.Error())
		if bytes.Contains(text, []byte(server.All)) {
			p.Msg += ` ("*" needs its quotes)`
		}
		return nil, config.Problems{p}
	}
	if lists == nil {
		return nil, config.Problems{{File: file, Msg: "is empty; {} says that there are no dependencies"}}
	}
	dependencies := make(map[string][]string, len(lists))
	for belong, list := range lists {
		if belong == "" {
			return nil, config.Problems{{File: file, Msg: "a name of what instances belong to must not be empty"}}
		}
		dependencies[belong] = list
	}
	return dependencies, nil
}

// lined takes the line number off an error text of the YAML library.
func lined(file, text string) config.Problem {
	p := config.Problem{File: file, Msg: strings.Join(strings.Fields(strings.TrimPrefix(text, "yaml: ")), " ")}
	var line int
	if n, _ := fmt.Sscanf(p.Msg, "line %d:", &line); n == 1 {
		p.Line = line
		_, p.Msg, _ = strings.Cut(p.Msg, ": ")
	}
	return p
}

// names is a list of names, or "*" alone.
type names []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (n *names) UnmarshalYAML(unmarshal func(any) error) error {
	var list []string
	err := unmarshal(&list)
	if err == nil {
		*n = list
		return nil
	}
	var one string
	if unmarshal(&one) == nil && one == server.All {
		*n = names{one}
		return nil
	}
	return err
}
