package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DocsPage is the page that WriteDocs and WriteIsolationDocs write to.
const DocsPage = "reliability.md"

// errMarkers says that a page has no place for a table.
var errMarkers = errors.New("needs its pair of markers once")

// writePage replaces what is between two markers of the page in dir.
func writePage(dir, begin, end, text string) error {
	path := filepath.Join(dir, DocsPage)
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(page, []byte(begin))
	_, after, ends := bytes.Cut(rest, []byte(end))
	if !begins || !ends || bytes.Count(page, []byte(begin)) != 1 || bytes.Count(page, []byte(end)) != 1 {
		return fmt.Errorf("%s %w: %s and after it %s", path, errMarkers, begin, end)
	}
	text = begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end
	return os.WriteFile(path, slices.Concat(before, []byte(text), after), 0o644)
}
