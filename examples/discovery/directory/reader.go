package directory

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"samaritan/config"
	"samaritan/examples/discovery/server"
)

const (
	dependenciesFile = "dependencies.yaml"
	servicesDir      = "services"
)

// extensions are those of service files.
var extensions = [...]string{".yaml", ".yml", ".json"}

// reader knows what the directory says, and what its files said when they were
// good.
type reader struct {
	dir          string
	dependencies source[map[string][]string]
	services     map[string]*source[*config.Service] // by file name
}

func newReader(dir string) *reader {
	r := &reader{dir: dir, services: map[string]*source[*config.Service]{}}
	r.dependencies.path = filepath.Join(dir, dependenciesFile)
	return r
}

// read looks at all files and tells whether anything is different. The error is
// that of a directory that is away; then nothing has changed.
func (r *reader) read() (changed bool, err error) {
	files, err := os.ReadDir(filepath.Join(r.dir, servicesDir))
	if err != nil {
		return false, fmt.Errorf("list the services: %w", err)
	}
	changed, err = r.dependencies.update(parseDependencies)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", r.dependencies.path, err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		name, ok := serviceName(f)
		if !ok {
			continue
		}
		different, exists := r.readService(f.Name(), name)
		changed = changed || different
		seen[f.Name()] = exists
	}
	for file := range r.services {
		if !seen[file] {
			delete(r.services, file)
			changed = true
		}
	}
	return changed, nil
}

// undecided returns the problems of the dependencies while they were never good. Without
// them nothing can be told: that there are none would end all services everywhere.
func (r *reader) undecided() error {
	if r.dependencies.ok {
		return nil
	}
	return r.dependencies.problems
}

// readService looks at one file, which may have been deleted since it was listed.
func (r *reader) readService(file, name string) (changed, exists bool) {
	s := r.services[file]
	if s == nil {
		s = &source[*config.Service]{path: filepath.Join(r.dir, servicesDir, file)}
	}
	changed, err := s.update(func(path string, text []byte) (*config.Service, error) {
		return config.ParseService(path, name, text)
	})
	if errors.Is(err, os.ErrNotExist) {
		return false, false
	}
	r.services[file] = s
	return changed, true
}

// serviceName returns the name of the service that a file is for, if it is for one.
func serviceName(f os.DirEntry) (string, bool) {
	file := f.Name()
	ext := filepath.Ext(file)
	if f.IsDir() || strings.HasPrefix(file, ".") || !slices.Contains(extensions[:], ext) {
		return "", false
	}
	return nameOf(file), true
}

// nameOf returns the name of the service that a service file is for.
func nameOf(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) }

// snapshot returns the good contents, and all that is wrong. A service whose file was
// never good is there without config and endpoints: what it runs with elsewhere may
// still hold. A name that is no text cannot be sent, and is left out.
func (r *reader) snapshot() (server.Snapshot, config.Problems) {
	problems := slices.Clone(r.dependencies.problems)
	next := server.Snapshot{Services: map[string]server.Service{}, Dependencies: r.dependencies.good}
	services := map[string]*source[*config.Service]{}
	for _, file := range slices.Sorted(maps.Keys(r.services)) {
		s := r.services[file]
		problems = append(problems, s.problems...)
		if name := nameOf(file); !s.ok {
			if utf8.ValidString(name) {
				next.Services[name] = server.Service{}
			}
			continue
		}
		if other := services[s.good.Name]; other != nil {
			problems = append(problems, config.Problem{File: s.path, Msg: "is for the same service as " + other.path})
			continue
		}
		services[s.good.Name] = s
	}
	problems = append(problems, r.inconsistencies(services)...)
	for name, s := range services {
		next.Services[name] = server.Service{Config: s.good.Config, Endpoints: s.good.Endpoints}
	}
	return next, problems
}
