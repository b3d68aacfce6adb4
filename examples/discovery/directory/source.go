package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"samaritan/config"
)

// source is what is known of one file: what it says, and what it said when it was
// good.
type source[T any] struct {
	path     string
	text     []byte // that good or problems came from; nil: not read
	good     T
	ok       bool // there is a good
	problems config.Problems
}

// update looks at the file again. It tells whether anything is different, and
// returns an error that is fs.ErrNotExist when there is no file.
func (s *source[T]) update(parse func(file string, text []byte) (T, error)) (changed bool, err error) {
	text, err := readFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if err != nil {
		changed = s.text != nil || len(s.problems) == 0
		s.text, s.problems = nil, config.Problems{{File: s.path, Msg: err.Error()}}
		return changed, nil
	}
	if s.text != nil && bytes.Equal(s.text, text) {
		return false, nil
	}
	s.text, s.problems = text, nil
	good, err := parse(s.path, text)
	if err != nil {
		s.problems = problemsOf(s.path, err)
		return true, nil
	}
	s.good, s.ok = good, true
	return true, nil
}

func problemsOf(file string, err error) config.Problems {
	var problems config.Problems
	if errors.As(err, &problems) {
		return problems
	}
	return config.Problems{{File: file, Msg: err.Error()}}
}

// readFile reads a regular file of a size that a config may have. It never returns
// nil without an error. The path is not in the error: the problem names it.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file") // and opening it might block
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, config.MaxSize+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(text) > config.MaxSize {
		return nil, fmt.Errorf("is larger than %d bytes", config.MaxSize)
	}
	return text, nil
}

func withoutPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}
