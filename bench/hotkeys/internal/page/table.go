package page

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is a Markdown table whose source is aligned too.
type table struct {
	left int // columns aligned to the left; the others go to the right
	rows [][]string
}

// add appends a row. The first one is the head.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String renders the table, each line with a newline.
func (t *table) String() string {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	for i, row := range t.rows {
		for c, cell := range row {
			b.WriteString("| " + t.pad(c, cell, widths[c], " ") + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			t.rule(&b, widths)
		}
	}
	return b.String()
}

// pad makes a cell as wide as its column.
func (t *table) pad(column int, cell string, width int, with string) string {
	fill := strings.Repeat(with, width-utf8.RuneCountInString(cell))
	if column < t.left {
		return cell + fill
	}
	return fill + cell
}

// rule writes the line below the head.
func (t *table) rule(b *strings.Builder, widths []int) {
	for c, width := range widths {
		if c < t.left {
			fmt.Fprintf(b, "|:%s-", strings.Repeat("-", width))
		} else {
			fmt.Fprintf(b, "|-%s:", strings.Repeat("-", width))
		}
	}
	b.WriteString("|\n")
}
