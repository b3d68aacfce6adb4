package findings

import "strings"

// Sections are in the order of the page.
type Sections []section

// section is a table with what is around it.
type section struct{ title, table, note string }

// Add adds a table. The note is for those who were not there.
func (all *Sections) Add(title, table, note string) {
	*all = append(*all, section{title, table, note})
}

// Text is for the terminal: titles and tables.
func (all Sections) Text() string {
	var b strings.Builder
	for _, s := range all {
		b.WriteString(s.title + "\n\n" + s.table + "\n")
	}
	return b.String()
}

// Markdown is for a document: headings, tables and notes.
func (all Sections) Markdown() string {
	var b strings.Builder
	for _, s := range all {
		b.WriteString("### " + s.title + "\n\n" + s.table + "\n" + strings.TrimSpace(s.note) + "\n\n")
	}
	return b.String()
}
