package chaos

import (
	"path/filepath"

	"samaritan/internal/markdown"
)

// DocsPage is the page that WriteDocs and WriteIsolationDocs write to.
const DocsPage = "reliability.md"

// writePage replaces what is between two markers of the page in dir.
func writePage(dir, begin, end, text string) error {
	return markdown.Replace(filepath.Join(dir, DocsPage), begin, end, text)
}
