package markdown

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// ErrMarkers says that a page has no place for a text.
var ErrMarkers = errors.New("needs its pair of markers once")

// Replace replaces what is between two markers of the page at path.
func Replace(path, begin, end, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(page, []byte(begin))
	_, after, ends := bytes.Cut(rest, []byte(end))
	if !begins || !ends || bytes.Count(page, []byte(begin)) != 1 || bytes.Count(page, []byte(end)) != 1 {
		return fmt.Errorf("%s %w: %s and after it %s", path, ErrMarkers, begin, end)
	}
	text = begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end
	return os.WriteFile(path, slices.Concat(before, []byte(text), after), 0o644)
}
