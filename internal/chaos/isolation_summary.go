package chaos

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cpu are clock ticks since the start.
type cpu struct {
	at                time.Time
	idle, all, daemon float64
}

// takeCPU reads the machine's and the process's times; what cannot be read is 0.
func takeCPU(pid int) cpu {
	c := cpu{at: time.Now()}
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line) {
		n, _ := strconv.ParseFloat(word, 64)
		if i == 4 || i == 5 { // idle, iowait
			c.idle += n
		}
		if i <= 8 { // up to steal; guest is in user
			c.all += n
		}
	}
	text, _ = os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	if words := strings.Fields(rest); len(words) > 12 {
		user, _ := strconv.ParseFloat(words[11], 64)
		system, _ := strconv.ParseFloat(words[12], 64)
		c.daemon = user + system
	}
	return c
}

// since returns the share of the machine and the cores of the daemon that were used.
func (c cpu) since(b cpu) (busy, cores float64) {
	if c.all > b.all {
		busy = 1 - (c.idle-b.idle)/(c.all-b.all)
	}
	const ticks = 100 // USER_HZ, which Linux keeps at that
	return busy, (c.daemon - b.daemon) / ticks / c.at.Sub(b.at).Seconds()
}

// summary puts the windows of a scenario together.
func summary(s scenario, pairs [][2]view) *Isolation {
	i := &Isolation{Name: s.name, Help: s.help, Wire: s.wire}
	of := func(f func(p [2]view) float64) float64 { return medianOf(pairs, f) }
	i.BusyCalm = of(func(p [2]view) float64 { return p[0].busy })
	i.BusyHurt = of(func(p [2]view) float64 { return p[1].busy })
	i.Daemon = of(func(p [2]view) float64 { return p[1].daemon })
	i.Late = time.Duration(of(func(p [2]view) float64 { return float64(percentile(p[1].late, 0.99)) }))
	for _, p := range pairs {
		i.RSSCalm = max(i.RSSCalm, p[0].rss)
		i.RSSMax = max(i.RSSMax, p[0].rss, p[1].rss)
		i.Bulk += p[1].bulk / float64(len(pairs))
	}
	for g := range groups {
		i.Groups[g] = groupOf(g, pairs)
	}
	return i
}

// groupOf is the part of one group.
func groupOf(g Group, pairs [][2]view) GroupResult {
	r := GroupResult{Group: g}
	ratio := func(f func(v view) float64) float64 {
		return medianOf(pairs, func(p [2]view) float64 {
			calm := f(p[0])
			if calm == 0 {
				return 0
			}
			return f(p[1]) / calm
		})
	}
	at := func(q float64) func(v view) float64 {
		return func(v view) float64 { return float64(percentile(v.groups[g].latencies, q)) }
	}
	r.Throughput = ratio(func(v view) float64 { return float64(v.groups[g].ok) / v.took.Seconds() })
	r.P50Ratio, r.P99Ratio = ratio(at(0.50)), ratio(at(0.99))
	for hurt, spread := range []*Spread{&r.Calm, &r.Hurt} {
		level := func(q float64) time.Duration {
			return time.Duration(medianOf(pairs, func(p [2]view) float64 { return at(q)(p[hurt]) }))
		}
		*spread = Spread{P50: level(0.50), P99: level(0.99), P999: level(0.999)}
		for _, p := range pairs {
			spread.Max = max(spread.Max, percentile(p[hurt].groups[g].latencies, 1))
		}
	}
	for _, p := range pairs {
		r.GapCalm = max(r.GapCalm, time.Duration(p[0].groups[g].gap))
		r.GapHurt = max(r.GapHurt, time.Duration(p[1].groups[g].gap))
		for _, v := range p {
			r.Errors += v.groups[g].errors
			if e := v.groups[g].firstErr; e != "" {
				r.Err = e
			}
		}
	}
	return r
}

// medianOf returns the median of f over the pairs.
func medianOf(pairs [][2]view, f func(p [2]view) float64) float64 {
	var all []float64
	for _, p := range pairs {
		all = append(all, f(p))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}
