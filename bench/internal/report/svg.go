package report

import (
	"fmt"
	"html"
	"strings"

	"samaritan/bench/internal/figures"
)

// Geometry of the picture, in its own units. Bars begin at barLeft; the longest
// ends at barLeft+barWidth.
const (
	svgWidth  = 880
	headSpace = 96
	rowHeight = 66
	barHeight = 18
	barGap    = 3
	barLeft   = 250
	barWidth  = 390
	ratioLeft = 850 // right end of the column of ratios
	footSpace = 44
)

// style gives the picture a ground of its own, so that it reads well on light
// and dark pages, also where the page's theme is not the system's.
const style = `<style>
.ground{fill:#ffffff;stroke:#d0d7de}
.text{fill:#1f2328}
.soft{fill:#59636e}
.subject{fill:#0f766e}
.peer{fill:#b6bec8}
.rule{stroke:#d8dee4}
.budget{stroke:#bc4c00}
.budgettext{fill:#bc4c00}
.over{fill:#cf222e}
text{font-family:-apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;font-size:13px}
.title{font-size:18px;font-weight:600}
.small{font-size:11.5px}
.strong{font-weight:600}
.ratio{font-size:17px;font-weight:600}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117;stroke:#30363d}
.text{fill:#e6edf3}
.soft{fill:#9198a1}
.subject{fill:#2dbdae}
.peer{fill:#57606a}
.rule{stroke:#262c34}
.budget{stroke:#f0883e}
.budgettext{fill:#f0883e}
.over{fill:#ff7b72}
}
</style>
`

// SVG draws CPU per request of Subject and Peer, scenario by scenario. The bars
// of a scenario are relative to Peer's, because requests that take a
// microsecond and ones that take fifty have no common scale.
func (r Report) SVG() string {
	rows := r.compared()
	height := headSpace + len(rows)*rowHeight + footSpace
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		svgWidth, height, svgWidth, height, html.EscapeString(r.summary(rows)))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", svgWidth-1, height-1)
	writeHead(&b)
	scale := barScale(rows)
	for i, row := range rows {
		row.write(&b, headSpace+i*rowHeight, scale)
	}
	writeFoot(&b, height, r.Machine)
	b.WriteString("</svg>\n")
	return b.String()
}

// bar is one scenario of the picture.
type bar struct {
	Scenario
	subject, peer float64 // CPU per request, µs
	ratio         float64
}

// compared returns the scenarios that have both targets.
func (r Report) compared() []bar {
	var rows []bar
	for _, s := range r.Scenarios {
		ratio, ok := s.Ratio()
		if !ok {
			continue
		}
		subject, _ := s.Median(Subject)
		peer, _ := s.Median(Peer)
		rows = append(rows, bar{Scenario: s, subject: subject.CPU, peer: peer.CPU, ratio: ratio.Median})
	}
	return rows
}

// summary describes the picture in words.
func (r Report) summary(rows []bar) string {
	parts := []string{"CPU per request, Samaritan relative to twemproxy"}
	for _, row := range rows {
		parts = append(parts, fmt.Sprintf("%s %.2f", row.Title, row.ratio))
	}
	return strings.Join(parts, "; ")
}

// barScale returns the length of Peer's bars, such that the longest bar of all
// just fits.
func barScale(rows []bar) float64 {
	longest := 1.0
	for _, row := range rows {
		longest = max(longest, row.ratio, row.Budget)
	}
	return barWidth / longest
}

// text writes one text element. The anchor is start, middle or end.
func text(b *strings.Builder, class, anchor string, x, y float64, s string) {
	fmt.Fprintf(b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
}

// rect writes one bar.
func rect(b *strings.Builder, class string, x, y, width float64, height int) {
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2"/>`+"\n", class, x, y, max(width, 1), height)
}

// writeHead writes the title and the legend.
func writeHead(b *strings.Builder) {
	text(b, "title text", "start", 24, 36, "CPU time per request")
	text(b, "soft", "start", 24, 57, "µs of the proxy process, user + system, less is better; bars relative to twemproxy")
	const y = 71
	rect(b, "subject", barLeft, y, 12, 12)
	text(b, "small text", "start", barLeft+18, y+10, "Samaritan")
	rect(b, "peer", barLeft+96, y, 12, 12)
	text(b, "small text", "start", barLeft+114, y+10, "twemproxy")
	writeBudget(b, barLeft+196, y-1, y+13)
	text(b, "small text", "start", barLeft+204, y+10, "budget")
	text(b, "small soft", "end", ratioLeft, y+10, "ratio")
}

// writeBudget writes the mark of a budget.
func writeBudget(b *strings.Builder, x, top, bottom float64) {
	fmt.Fprintf(b, `<line class="budget" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke-width="2"/>`+"\n", x, top, x, bottom)
}

// write writes the scenario with its upper edge at top.
func (row bar) write(b *strings.Builder, top int, scale float64) {
	fmt.Fprintf(b, `<line class="rule" x1="24" y1="%d" x2="%d" y2="%d"/>`+"\n", top, ratioLeft, top)
	upper := float64(top + (rowHeight-2*barHeight-barGap)/2)
	lower := upper + barHeight + barGap
	text(b, "strong text", "start", 24, upper+14, row.Title)
	text(b, "small soft", "start", 24, lower+14, row.Detail)

	// The bars' lengths are the ratio's, which is made within rounds; the
	// quotient of the two medians may be a little off it.
	rect(b, "subject", barLeft, upper, row.ratio*scale, barHeight)
	rect(b, "peer", barLeft, lower, scale, barHeight)
	writeBudget(b, barLeft+row.Budget*scale, upper-4, lower+barHeight+4)
	text(b, "small strong text", "start", barLeft+8+max(row.ratio, nearBudget(row, scale))*scale, upper+13, figures.Digits(row.subject)+" µs")
	text(b, "small soft", "start", barLeft+8+max(1, min(row.Budget, 1.02))*scale, lower+13, figures.Digits(row.peer)+" µs")

	class := "ratio text"
	if row.ratio > row.Budget {
		class = "ratio over"
	}
	text(b, class, "end", ratioLeft, upper+15, fmt.Sprintf("%.2f×", row.ratio))
	text(b, "small budgettext", "end", ratioLeft, lower+13, fmt.Sprintf("budget %.2f×", row.Budget))
}

// labelWidth is about the width of a number beside its bar.
const labelWidth = 60

// nearBudget returns the budget when the number beside Subject's bar would lie
// on its mark, so that the number moves behind it; else 0.
func nearBudget(row bar, scale float64) float64 {
	if gap := (row.Budget - row.ratio) * scale; gap >= -4 && gap < labelWidth {
		return row.Budget
	}
	return 0
}

// writeFoot says what the figures were made with.
func writeFoot(b *strings.Builder, height int, m Machine) {
	y := float64(height - footSpace)
	fmt.Fprintf(b, `<line class="rule" x1="24" y1="%.0f" x2="%d" y2="%.0f"/>`+"\n", y, ratioLeft, y)
	text(b, "small soft", "start", 24, y+27, fmt.Sprintf("%s, %s, %s; %d cores, %s", m.Connected, m.Redis, m.Peer, m.Cores, m.CPU))
}
