// Package stats is what the process reports at a scrape, and how a report is
// rendered.
//
// The numbers live where they change: a loop or a goroutine owns plain
// counters and [Histogram] values and nothing here locks them. A [Source]
// knows how to read its numbers safely (an event loop does it by posting a
// function to itself) and emits them as [Sample] values. [Gather] collects all
// sources into one [Snapshot], adding up what several loops report under the
// same name. A snapshot renders as text ([Snapshot.WriteText]) and, through
// [Collector], as Prometheus metrics.
//
// [Totals] and [Carried] let counters go on in a process that takes over.
//
// Else the package keeps no state between scrapes. It starts no goroutine and imports
// no other package of this module.
package stats

import (
	"strings"
)

// Kind says how a sample behaves over time.
type Kind uint8

const (
	// Counter only grows while the process lives.
	Counter Kind = iota
	// Gauge goes up and down.
	Gauge
	// Distribution is a histogram: Hist is set and Value is not used.
	Distribution
)

// Sample is one number, or one histogram, at the moment of a scrape.
type Sample struct {
	// Service is the name of the service as configured; "" is the process.
	Service string
	// Name is the dotted name without the service, as in "downstream.cx_total",
	// "upstream.slots_refresh.total" or "redis.total". It ends in its unit
	// (_ms, _micros, _sec, _bytes) when it has one.
	Name string
	// Command is the Redis command the number belongs to, or "". In the text
	// it follows the first part of the name (redis.get.total), in Prometheus
	// it is the label redis_cmd.
	Command string
	// Endpoint is the server ("ip:port") that the number belongs to, or "". In the
	// text it stands where a command would, in Prometheus it is the label endpoint.
	// A sample has a command or an endpoint, not both.
	Endpoint string
	Kind     Kind
	Value    float64
	// Hist must not change after it was emitted. Its owner emits a clone.
	Hist *Histogram
	// Scale is what one unit of Hist is worth in the unit of the name: 0.001
	// for microseconds under a name in _ms. 0 means 1.
	Scale float64
	// Attached samples add to one that another source reports, and are left out when none
	// does.
	Attached bool
	// Help is the Prometheus help text; "" gives one made from the name.
	Help string
}

// Source is something that reports samples.
type Source interface {
	// Stats calls emit once per sample, on the calling goroutine. Several
	// calls may run at the same time. A call must end within about a second,
	// even when a loop it asks is stuck; what is missing is then not emitted.
	Stats(emit func(Sample))
}

// SourceFunc makes a function a [Source].
type SourceFunc func(emit func(Sample))

// Stats calls f.
func (f SourceFunc) Stats(emit func(Sample)) { f(emit) }

// textName is the full dotted name of s: service.<name>.<first>.<command or endpoint>.<rest>.
func (s *Sample) textName() string {
	name := s.Name
	if part := s.Command + s.Endpoint; part != "" {
		first, rest, _ := strings.Cut(name, ".")
		name = first + "." + textPart(part)
		if rest != "" {
			name += "." + rest
		}
	}
	if s.Service != "" {
		name = "service." + textPart(s.Service) + "." + name
	}
	return name
}

// scale is Scale with its default.
func (s *Sample) scale() float64 {
	if s.Scale == 0 {
		return 1
	}
	return s.Scale
}

// textPart makes a service or command name one part of a dotted name: dots,
// and whatever would break a line of "name: value", become '_'.
func textPart(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == ':' || r == 0x7f || r == '\uFFFD' {
			return '_'
		}
		return r
	}, s)
}
