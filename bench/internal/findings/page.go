package findings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"samaritan/bench/internal/outcome"
	"samaritan/internal/markdown"
)

// Page is everything that a benchmark has to say.
type Page struct {
	Benchmark string // such as "bench-tcp": what the markers in the document are called
	Document  string // its file
	About     About
	Took      time.Duration // the whole run
	Checks    []outcome.Check
	Text      string            // for the terminal: all tables but that of the bounds, an empty line after each
	Markdown  string            // for the document
	Pictures  map[string]string // files beside the document
}

// Report prints the text and what became of the bounds. Unless dir is empty, it writes the document in there. The
// error is an [outcome.ErrMissed] when that went well, but a bound was certainly missed.
func (p *Page) Report(out io.Writer, dir string) error {
	summary := outcome.Summarize(p.Checks)
	if _, err := fmt.Fprintf(out, "%s%s\n%v, in %v\n", p.Text, outcome.Table(p.Checks), summary, p.Took.Round(time.Second)); err != nil {
		return err
	}
	if dir != "" {
		if err := p.write(dir); err != nil {
			return err
		}
	}
	return summary.Err()
}

// write replaces what is between the markers of the document, and the pictures.
func (p *Page) write(dir string) error {
	head := fmt.Sprintf("Measured %s in %v on %s, %s: %v.\n\n",
		p.About.Date.UTC().Format(time.DateOnly), p.Took.Round(time.Second), p.About.Machine, p.About.Extent, outcome.Summarize(p.Checks))
	begin, end := "<!-- "+p.Benchmark+":begin -->", "<!-- "+p.Benchmark+":end -->"
	if err := markdown.Replace(filepath.Join(dir, p.Document), begin, end, head+p.Markdown); err != nil {
		return err
	}
	var errs []error
	for name, picture := range p.Pictures {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(picture), 0o644))
	}
	return errors.Join(errs...)
}
