package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	modulePath = "samaritan"
	root       = "../.." // of the module, seen from this package
)

// pkg is one package of ours, as its non-test files declare it.
type pkg struct {
	dir     string              // relative to the module root, with slashes
	files   int                 // non-test files
	doc     bool                // a file has a package doc comment
	imports map[string][]string // import path -> files that import it
}

// readTree parses the import clauses of every non-test file of the module. It
// reads the files themselves, rather than asking the go command, so that build
// tags hide nothing and the test cache knows what the result depends on.
func readTree(t *testing.T) map[string]*pkg {
	t.Helper()
	tree := map[string]*pkg{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(path, d.Name())
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		return add(tree, path, file)
	})
	require.NoError(t, err)
	require.NotEmpty(t, tree)
	return tree
}

// skipDir leaves out what the go command leaves out too, and built files.
func skipDir(path, name string) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" {
		return fs.SkipDir
	}
	return nil
}

func add(tree map[string]*pkg, path string, file *ast.File) error {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(rel))
	p := tree[dir]
	if p == nil {
		p = &pkg{dir: dir, imports: map[string][]string{}}
		tree[dir] = p
	}
	p.files++
	p.doc = p.doc || file.Doc != nil
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		p.imports[name] = append(p.imports[name], rel)
	}
	return nil
}

// ours returns the module-relative directory of an import path of ours.
func ours(importPath string) (dir string, ok bool) {
	return strings.CutPrefix(importPath, modulePath+"/")
}
