package page

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// style gives a picture a ground of its own, so that it reads well on light and dark
// pages, also where the page's theme is not the system's.
const style = `<style>
.ground{fill:#ffffff;stroke:#d0d7de}
.text{fill:#1f2328}
.soft{fill:#59636e}
.rule{stroke:#d8dee4}
.axis{stroke:#8c959f}
.one{fill:#0f766e;stroke:#0f766e}
.two{fill:#bc4c00;stroke:#bc4c00}
.three{fill:#0969da;stroke:#0969da}
.four{fill:#8250df;stroke:#8250df}
.grey{fill:#8c959f;stroke:#8c959f}
.pale{fill:#b6bec8;stroke:#b6bec8}
.bad{fill:#cf222e;stroke:#cf222e}
text{stroke:none;font-family:-apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;font-size:13px}
.title{font-size:18px;font-weight:600}
.small{font-size:11.5px}
.strong{font-weight:600}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117;stroke:#30363d}
.text{fill:#e6edf3}
.soft{fill:#9198a1}
.rule{stroke:#262c34}
.axis{stroke:#57606a}
.one{fill:#2dbdae;stroke:#2dbdae}
.two{fill:#f0883e;stroke:#f0883e}
.three{fill:#58a6ff;stroke:#58a6ff}
.four{fill:#bc8cff;stroke:#bc8cff}
.grey{fill:#7d8590;stroke:#7d8590}
.pale{fill:#57606a;stroke:#57606a}
.bad{fill:#ff7b72;stroke:#ff7b72}
}
</style>
`

const pictureWidth = 880

// picture is an SVG that is being drawn.
type picture struct {
	b      strings.Builder
	height int
}

// newPicture begins a picture with its title, what it shows in a line below that, and in words.
func newPicture(height int, title, subtitle, words string) *picture {
	p := &picture{height: height}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		pictureWidth, height, pictureWidth, height, html.EscapeString(words))
	p.b.WriteString(style)
	fmt.Fprintf(&p.b, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", pictureWidth-1, height-1)
	p.text("title text", "start", 24, 36, title)
	p.text("soft", "start", 24, 57, subtitle)
	return p
}

// String ends the picture.
func (p *picture) String() string { return p.b.String() + "</svg>\n" }

// text writes one text element. The anchor is start, middle or end.
func (p *picture) text(class, anchor string, x, y float64, s string) {
	fmt.Fprintf(&p.b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
}

func (p *picture) line(class string, x1, y1, x2, y2, width float64) {
	fmt.Fprintf(&p.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke-width="%g"/>`+"\n", class, x1, y1, x2, y2, width)
}

func (p *picture) dot(class string, x, y, radius float64) {
	fmt.Fprintf(&p.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%g"/>`+"\n", class, x, y, radius)
}

// path draws a line through points, which are pairs of x and y.
func (p *picture) path(class string, width float64, points ...float64) {
	fmt.Fprintf(&p.b, `<polyline class="%s" stroke-width="%g" stroke-linejoin="round" style="fill:none" points="`, class, width)
	for i := 0; i+1 < len(points); i += 2 {
		fmt.Fprintf(&p.b, "%.1f,%.1f ", points[i], points[i+1])
	}
	p.b.WriteString("\"/>\n")
}

// plot is a coordinate system within a picture: left, right, top and bottom in the picture, and
// the values there.
type plot struct {
	*picture
	left, right, top, bottom float64
	minX, maxX, minY, maxY   float64
	logX                     bool
}

func (a *plot) x(v float64) float64 {
	if a.logX {
		return a.left + (a.right-a.left)*math.Log(v/a.minX)/math.Log(a.maxX/a.minX)
	}
	return a.left + (a.right-a.left)*(v-a.minX)/(a.maxX-a.minX)
}

func (a *plot) y(v float64) float64 { return a.bottom - (a.bottom-a.top)*(v-a.minY)/(a.maxY-a.minY) }

// tick is a value on an axis, and how it is written.
type tick struct {
	at    float64
	label string
}

// ticks makes ticks at values, written by format.
func ticks(format string, values ...float64) (all []tick) {
	for _, v := range values {
		all = append(all, tick{v, fmt.Sprintf(format, v)})
	}
	return all
}

// axes draws the rules and their values. name is that of the horizontal axis.
func (a *plot) axes(name string, horizontal, vertical []tick) {
	for _, t := range vertical {
		a.line("rule", a.left, a.y(t.at), a.right, a.y(t.at), 1)
		a.text("small soft", "end", a.left-8, a.y(t.at)+4, t.label)
	}
	a.line("axis", a.left, a.bottom, a.right, a.bottom, 1)
	for _, t := range horizontal {
		a.line("axis", a.x(t.at), a.bottom, a.x(t.at), a.bottom+4, 1)
		a.text("small soft", "middle", a.x(t.at), a.bottom+18, t.label)
	}
	a.text("small soft", "middle", (a.left+a.right)/2, a.bottom+37, name)
}
