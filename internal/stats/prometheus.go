package stats

import (
	"math"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Upper bounds of the Prometheus buckets, by the unit a name ends in.
var (
	boundsMillis = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000}
	boundsMicros = []float64{50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000}
	boundsSecs   = []float64{0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400}
	boundsOther  = []float64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000}
)

// Collector shows sources as Prometheus metrics: "samaritan_", "service_" when
// there is a service, and the name with every character but letters, digits
// and '_' replaced by '_'. The service, the command and the endpoint are the
// labels service_name (as configured, dots and all), redis_cmd and endpoint.
//
// It is an unchecked collector, since services come and go. It keeps nothing
// between scrapes and may be collected by several goroutines at once.
type Collector struct {
	sources func() []Source
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a collector that calls sources at each scrape.
func NewCollector(sources func() []Source) *Collector {
	return &Collector{sources: sources}
}

// Describe sends nothing, which is what makes the collector unchecked.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect gathers and sends every sample that fits its family (a metric name
// has one type and one set of labels); the others are counted in
// samaritan_runtime_stats_bad_samples and cannot fail the scrape.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	snap := Gather(c.sources())
	families := make(map[string]*family)
	bad := snap.bad
	for i := range snap.samples {
		m := metricOf(families, &snap.samples[i])
		if m == nil {
			bad++
			continue
		}
		ch <- m
	}
	own := Sample{Name: badSamples, Kind: Gauge, Value: float64(bad), Help: "Samples left out of this scrape."}
	if m := metricOf(families, &own); m != nil {
		ch <- m
	}
}

// family is what all metrics of one name share in a scrape; its first sample
// decides.
type family struct {
	desc *prometheus.Desc
	kind Kind
	set  [len(labelNames)]bool            // which labels there are
	seen map[[len(labelNames)]string]bool // two names can become one: a.b and a_b
}

// labelNames are all labels, in the order of labelsOf.
var labelNames = [...]string{"service_name", "redis_cmd", "endpoint"}

func labelsOf(s *Sample) [len(labelNames)]string {
	return [...]string{s.Service, s.Command, s.Endpoint}
}

// metricOf returns s as a metric, or nil when it does not fit its family.
func metricOf(families map[string]*family, s *Sample) prometheus.Metric {
	name := metricName(s)
	f := families[name]
	if f == nil {
		f = newFamily(name, s)
		families[name] = f
	}
	key := labelsOf(s)
	if f.kind != s.Kind || f.set != whichSet(key) || f.seen[key] {
		return nil
	}
	f.seen[key] = true
	m, err := f.metric(s)
	if err != nil {
		return nil
	}
	return m
}

func whichSet(values [len(labelNames)]string) (set [len(labelNames)]bool) {
	for i, v := range values {
		set[i] = v != ""
	}
	return set
}

func newFamily(name string, s *Sample) *family {
	f := &family{
		kind: s.Kind, set: whichSet(labelsOf(s)),
		seen: make(map[[len(labelNames)]string]bool),
	}
	var labels []string
	for i, label := range labelNames {
		if f.set[i] {
			labels = append(labels, label)
		}
	}
	help := strings.ToValidUTF8(s.Help, "_")
	if help == "" {
		help = "Samaritan " + s.Name + "."
	}
	f.desc = prometheus.NewDesc(name, help, labels, nil)
	return f
}

func (f *family) metric(s *Sample) (prometheus.Metric, error) {
	labels := make([]string, 0, len(labelNames))
	for _, v := range labelsOf(s) {
		if v != "" {
			labels = append(labels, v)
		}
	}
	switch s.Kind {
	case Distribution:
		h, scale := s.Hist, s.scale()
		return prometheus.NewConstHistogram(f.desc, h.Count(), float64(h.Sum())*scale, buckets(s), labels...)
	case Counter:
		return prometheus.NewConstMetric(f.desc, prometheus.CounterValue, s.Value, labels...)
	default:
		return prometheus.NewConstMetric(f.desc, prometheus.GaugeValue, s.Value, labels...)
	}
}

// buckets is the cumulative count per upper bound in the unit of the name.
func buckets(s *Sample) map[float64]uint64 {
	bounds := boundsOf(s.Name)
	raw := make([]uint64, len(bounds))
	for i, b := range bounds {
		// The small factor undoes the rounding of a division like 0.05/0.001.
		raw[i] = uint64(math.Min(b/s.scale()*(1+1e-9), MaxValue))
	}
	counts := s.Hist.AppendCumulative(make([]uint64, 0, len(bounds)), raw)
	m := make(map[float64]uint64, len(bounds))
	for i, b := range bounds {
		m[b] = counts[i]
	}
	return m
}

func boundsOf(name string) []float64 {
	switch {
	case strings.HasSuffix(name, "_ms"):
		return boundsMillis
	case strings.HasSuffix(name, "_micros"):
		return boundsMicros
	case strings.HasSuffix(name, "_sec"):
		return boundsSecs
	}
	return boundsOther
}

// metricName is the Prometheus name of s, in the classic character set.
func metricName(s *Sample) string {
	prefix := "samaritan_"
	if s.Service != "" {
		prefix += "service_"
	}
	return prefix + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, s.Name)
}
