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

// skipsUnderRace finds tests that the race detector leaves out, and their names.
var skipsUnderRace = regexp.MustCompile(`func (Test\w+)\(t \*testing\.T\) \{\n\tif raceDetector \{\n\t\tt\.Skip\(`)

// A test that is skipped under the race detector has to run without it, or it never does.
func TestWhatTheRaceDetectorSkipsIsRunWithoutIt(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^NORACE := (.+)$`).FindSubmatch(makefile)
	require.NotNil(t, m, "the Makefile says which tests run without the race detector")
	runs := regexp.MustCompile(string(m[1]))

	found, skips := 0, 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Base(path) != "norace_test.go" {
			skips += strings.Count(string(text), "if raceDetector {\n\t\tt.Skip(")
		}
		for _, test := range skipsUnderRace.FindAllSubmatch(text, -1) {
			found++
			assert.Truef(t, runs.Match(test[1]), "%s in %s is skipped under the race detector, and NORACE in the Makefile does not name it", test[1], path)
		}
		return nil
	}))
	assert.Positive(t, found)
	assert.Equal(t, skips, found, "a test that is skipped says so in its first lines")
}
