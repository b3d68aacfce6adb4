package restart

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// scrapePause is that between two scrapes.
const scrapePause = 20 * time.Millisecond

// scraper asks for the numbers in the form of Prometheus all the time. Each scrape has to
// work, and no counter may go back or away.
type scraper struct {
	daemon   *Daemon
	problems *problems
	last     map[string]float64 // counters; owned by run
	scrapes  int                // owned by run
}

// run scrapes until the context ends.
func (s *scraper) run(ctx context.Context) {
	for pause(ctx, scrapePause) == nil {
		s.once(ctx)
	}
}

// once is one scrape.
func (s *scraper) once(ctx context.Context) {
	start := time.Now()
	body, err := s.daemon.Get(ctx, "/metrics")
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.problems.add("scrape %d, after %v: %v", s.scrapes, time.Since(start).Round(time.Microsecond), err)
		return
	}
	s.scrapes++
	s.compare(counters(string(body)))
}

// compare holds the counters against those of the scrape before.
func (s *scraper) compare(now map[string]float64) {
	for name, was := range s.last {
		is, ok := now[name]
		switch {
		case !ok:
			s.problems.add("scrape %d: %s is gone, it was %v", s.scrapes, name, was)
		case is < was:
			s.problems.add("scrape %d: %s goes back from %v to %v", s.scrapes, name, was, is)
		}
	}
	maps.Copy(s.last, now)
}

// ofTheProcess begin the names of counters that are those of one process, by what they
// mean.
var ofTheProcess = []string{"go_", "process_", "samaritan_runtime_", "samaritan_process_"}

// counters returns all counters of a page in the text format, those of histograms too, by
// name and labels.
func counters(page string) map[string]float64 {
	kinds := map[string]string{}
	values := map[string]float64{}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(kind, " ")
			kinds[name] = kind
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		series := line[:at]
		name, _, _ := strings.Cut(series, "{")
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err == nil && isCounter(kinds, name) && !hasPrefix(name, ofTheProcess) {
			values[series] = v
		}
	}
	return values
}

func isCounter(kinds map[string]string, name string) bool {
	if kinds[name] == "counter" {
		return true
	}
	for _, end := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, end); ok && kinds[base] == "histogram" {
			return true
		}
	}
	return false
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// stat returns one of the daemon's plain numbers, by its name at /stats.
func (d *Daemon) stat(ctx context.Context, name string) (float64, error) {
	body, err := d.Get(ctx, "/stats?filter="+name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if n, value, _ := strings.Cut(strings.TrimSpace(line), ": "); n == name {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("restart: there is no number %s", name)
}
