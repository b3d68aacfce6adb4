package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/hotkey"
	"samaritan/proc/redis/resp"
)

// parseStart parses what stands behind HOTKEYS START.
func parseStart(t testing.TB, line string) (hotkeysSpec, string) {
	t.Helper()
	frame := resp.AppendCommand(nil, strings.Fields(line)...)
	var p resp.Parser
	if line == "" {
		return (&startParser{}).parse()
	}
	n, err := p.Parse(frame)
	require.NoError(t, err)
	require.Equal(t, len(frame), n)
	return (&startParser{frame: frame, args: p.Args}).parse()
}

func slotSet(slots ...int) *hotkey.SlotSet {
	var s hotkey.SlotSet
	for _, slot := range slots {
		s.Add(slot)
	}
	return &s
}

func TestStartTakesItsArguments(t *testing.T) {
	for line, want := range map[string]hotkeysSpec{
		"METRICS 1 CPU":                               {cpu: true, count: 10, sample: 1},
		"metrics 1 net":                               {net: true, count: 10, sample: 1},
		"METRICS 2 Net cPU":                           {cpu: true, net: true, count: 10, sample: 1},
		"METRICS 1 CPU COUNT 64":                      {cpu: true, count: 64, sample: 1},
		"METRICS 1 CPU COUNT 1":                       {cpu: true, count: 1, sample: 1},
		"METRICS 1 CPU DURATION 0":                    {cpu: true, count: 10, sample: 1},
		"METRICS 1 CPU DURATION 2147483647":           {cpu: true, count: 10, sample: 1, duration: 2147483647 * time.Second},
		"METRICS 1 CPU SAMPLE 1":                      {cpu: true, count: 10, sample: 1},
		"METRICS 1 CPU SAMPLE 100":                    {cpu: true, count: 10, sample: 100},
		"METRICS 1 CPU SLOTS 1 0":                     {cpu: true, count: 10, sample: 1, slots: slotSet(0)},
		"slots 3 1 16383 0 Sample 2 metrics 1 cpu":    {cpu: true, count: 10, sample: 2, slots: slotSet(0, 1, 16383)},
		"METRICS 1 NET SLOTS 2 7 5 COUNT 3 SAMPLE 10": {net: true, count: 3, sample: 10, slots: slotSet(5, 7)},
	} {
		spec, problem := parseStart(t, line)
		assert.Empty(t, problem, line)
		assert.Equal(t, want, spec, line)
	}
}

// startErrors are wrong arguments of HOTKEYS START, with the error behind "ERR ".
var startErrors = map[string]string{
	"":                                        "METRICS parameter is required",
	"COUNT 10":                                "METRICS parameter is required",
	"METRICS":                                 "syntax error, METRICS needs a value",
	"METRICS x":                               "METRICS count must be a positive number",
	"METRICS CPU":                             "METRICS count must be a positive number",
	"METRICS 0":                               "METRICS count must be a positive number",
	"METRICS -1 CPU":                          "METRICS count must be a positive number",
	"METRICS 1":                               "METRICS count does not match number of metrics provided",
	"METRICS 2 CPU":                           "METRICS count does not match number of metrics provided",
	"METRICS 2 CPU COUNT 3":                   "METRICS count does not match number of metrics provided",
	"METRICS 1 CPU NET":                       "METRICS count does not match number of metrics provided",
	"METRICS 3 CPU NET":                       "METRICS count does not match number of metrics provided",
	"METRICS 9223372036854775807 CPU":         "METRICS count does not match number of metrics provided",
	"COUNT 1 CPU":                             "METRICS count does not match number of metrics provided",
	"METRICS 2 CPU CPU":                       "METRICS CPU specified multiple times",
	"METRICS 2 NET net":                       "METRICS NET specified multiple times",
	"METRICS 1 RAM":                           "METRICS must be CPU or NET, not 'RAM'",
	"METRICS 2 CPU RAM":                       "METRICS must be CPU or NET, not 'RAM'",
	"METRICS 1 CPU METRICS 1 NET":             "METRICS specified multiple times",
	"METRICS 1 CPU COUNT":                     "syntax error, COUNT needs a value",
	"METRICS 1 CPU COUNT x":                   "COUNT must be between 1 and 64",
	"METRICS 1 CPU COUNT 0":                   "COUNT must be between 1 and 64",
	"METRICS 1 CPU COUNT 65":                  "COUNT must be between 1 and 64",
	"METRICS 1 CPU COUNT 1 count 2":           "COUNT specified multiple times",
	"METRICS 1 CPU DURATION":                  "syntax error, DURATION needs a value",
	"METRICS 1 CPU DURATION -1":               "DURATION must be between 0 and 2147483647",
	"METRICS 1 CPU DURATION 1.5":              "DURATION must be between 0 and 2147483647",
	"METRICS 1 CPU DURATION 2147483648":       "DURATION must be between 0 and 2147483647",
	"METRICS 1 CPU DURATION 1 DURATION 1":     "DURATION specified multiple times",
	"METRICS 1 CPU SAMPLE":                    "syntax error, SAMPLE needs a value",
	"METRICS 1 CPU SAMPLE 0":                  "SAMPLE must be between 1 and 2147483647",
	"METRICS 1 CPU SAMPLE x":                  "SAMPLE must be between 1 and 2147483647",
	"METRICS 1 CPU SAMPLE 2 SAMPLE 2":         "SAMPLE specified multiple times",
	"METRICS 1 CPU SLOTS":                     "syntax error, SLOTS count needs a value",
	"METRICS 1 CPU SLOTS 0":                   "SLOTS count must be between 1 and 16384",
	"METRICS 1 CPU SLOTS x":                   "SLOTS count must be between 1 and 16384",
	"METRICS 1 CPU SLOTS 16385 1":             "SLOTS count must be between 1 and 16384",
	"METRICS 1 CPU SLOTS 2 1":                 "SLOTS count does not match number of slots provided",
	"METRICS 1 CPU SLOTS 2 1 COUNT 3":         "SLOTS count does not match number of slots provided",
	"METRICS 1 CPU SLOTS 1 16384":             "SLOTS has an invalid or out of range slot '16384'",
	"METRICS 1 CPU SLOTS 1 -1":                "SLOTS has an invalid or out of range slot '-1'",
	"METRICS 1 CPU SLOTS 1 a":                 "SLOTS has an invalid or out of range slot 'a'",
	"METRICS 1 CPU SLOTS 2 5 5":               "SLOTS has slot 5 specified multiple times",
	"METRICS 1 CPU SLOTS 1 5 6":               "syntax error, unknown option '6'",
	"METRICS 1 CPU SLOTS 1 5 SLOTS 1 6":       "SLOTS specified multiple times",
	"METRICS 1 CPU FOO":                       "syntax error, unknown option 'FOO'",
	"FOO METRICS 1 CPU":                       "syntax error, unknown option 'FOO'",
	"METRICS 1 CPU SLOTS 9223372036854775808": "SLOTS count must be between 1 and 16384",
}

func TestStartNamesTheWrongArgument(t *testing.T) {
	for line, want := range startErrors {
		_, problem := parseStart(t, line)
		assert.Equal(t, want, problem, line)
	}
	_, problem := parseStart(t, strings.Repeat("x", 1000))
	assert.Equal(t, "syntax error, unknown option '"+strings.Repeat("x", 128)+"'", problem)
}

// FuzzStart: whatever the arguments are, there is an error or a spec within bounds.
func FuzzStart(f *testing.F) {
	for line := range startErrors {
		f.Add(line)
	}
	f.Add("METRICS 2 CPU NET COUNT 5 DURATION 6 SAMPLE 7 SLOTS 2 0 16383")
	f.Fuzz(func(t *testing.T, line string) {
		spec, problem := parseStart(t, strings.Join(strings.Fields(line), " "))
		if problem != "" {
			return
		}
		assert.True(t, spec.cpu || spec.net)
		assert.True(t, spec.count >= 1 && spec.count <= mostTrackedKeys)
		assert.True(t, spec.duration >= 0)
		assert.True(t, spec.sample >= 1 && spec.sample <= maxTrackedSample)
		assert.True(t, spec.slots == nil || len(spec.slots.Ranges()) > 0)
	})
}
