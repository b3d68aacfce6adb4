// Package markdown makes the tables that benchmarks write, and puts text into pages. It
// is for tests and the programs around the daemon.
package markdown

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table is a table whose source is aligned too, so that it reads well in a terminal.
type Table struct {
	// Left is how many columns are aligned to the left; the others go to the right.
	Left int

	rows [][]string
}

// Add appends a row. The first one is the head, and no other has more cells.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// String renders the table, each line with a newline. A table needs a head.
func (t *Table) String() string {
	widths := t.widths()
	var b strings.Builder
	for i, row := range t.rows {
		t.writeRow(&b, row, widths)
		if i == 0 {
			t.writeRule(&b, widths)
		}
	}
	return b.String()
}

// widths returns the width of each column in characters.
func (t *Table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	return widths
}

func (t *Table) writeRow(b *strings.Builder, row []string, widths []int) {
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i < t.Left {
			fmt.Fprintf(b, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(b, "| %s%s ", pad, cell)
		}
	}
	b.WriteString("|\n")
}

// writeRule writes the line below the head.
func (t *Table) writeRule(b *strings.Builder, widths []int) {
	for i, width := range widths {
		dashes := strings.Repeat("-", width)
		if i < t.Left {
			fmt.Fprintf(b, "|:%s-", dashes)
		} else {
			fmt.Fprintf(b, "|-%s:", dashes)
		}
	}
	b.WriteString("|\n")
}
