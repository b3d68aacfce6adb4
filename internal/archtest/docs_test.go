package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	testNamed = regexp.MustCompile("`(Test\\w+)`")
)

// These pages name the tests behind each promise.
func TestTestsThatTheDocsNameExist(t *testing.T) {
	exists := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(source, -1) {
			exists[string(m[1])] = true
		}
		return err
	}))
	for _, name := range []string{"docs/reliability.md", "docs/hot-restart.md"} {
		page, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		named := testNamed.FindAllSubmatch(page, -1)
		require.NotEmpty(t, named, name)
		for _, m := range named {
			assert.Truef(t, exists[string(m[1])], "%s names %s, which does not exist", name, m[1])
		}
	}
}
