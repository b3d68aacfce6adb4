package markdown

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

var (
	// ErrMarkers says that a page has no place for a text.
	ErrMarkers = errors.New("needs its pair of markers once")
	// ErrStale says that a page has another text.
	ErrStale = errors.New("is not up to date")
)

// Replace replaces what is between two markers of the page at path.
func Replace(path, begin, end, text string) error {
	before, _, after, err := cut(path, begin, end)
	if err != nil {
		return err
	}
	text = before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + after
	return os.WriteFile(path, []byte(text), 0o644)
}

// Keep is for tests that generate text for a page: with update it does what Replace does, without it
// returns an ErrStale if that would change the text.
func Keep(path, begin, end, text string, update bool) error {
	if update {
		return Replace(path, begin, end, text)
	}
	_, old, _, err := cut(path, begin, end)
	if err != nil {
		return err
	}
	old, text = strings.TrimSpace(old), strings.TrimSpace(text)
	if old == text {
		return nil
	}
	same := 0
	for same < min(len(old), len(text)) && old[same] == text[same] {
		same++
	}
	return fmt.Errorf("%s %w: has %.80q instead of %.80q", path, ErrStale, old[same:], text[same:])
}

// cut reads the page at path and cuts the markers out.
func cut(path, begin, end string) (before, text, after string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "", "", err
	}
	page := string(b)
	before, rest, begins := strings.Cut(page, begin)
	text, after, ends := strings.Cut(rest, end)
	if !begins || !ends || strings.Count(page, begin) != 1 || strings.Count(page, end) != 1 {
		return "", "", "", fmt.Errorf("%s %w: %s and after it %s", path, ErrMarkers, begin, end)
	}
	return before, text, after, nil
}
