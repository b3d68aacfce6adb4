package redis

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"

	"samaritan/hotkey"
	"samaritan/proc/redis/resp"
)

// Bounds of what START takes. Those of DURATION (in seconds) and SAMPLE keep the sums
// that are made with them within 64 bits.
const (
	defaultTrackedKeys = 10
	mostTrackedKeys    = 64
	maxTrackedSeconds  = math.MaxInt32
	maxTrackedSample   = math.MaxInt32
)

// startParser reads the arguments of HOTKEYS START. They may come in any order, each of
// them once. An error is a text without the code.
type startParser struct {
	frame []byte
	args  []resp.Arg // behind START
	next  int
	seen  []string // options so far
}

func (p *startParser) parse() (spec hotkeysSpec, problem string) {
	spec = hotkeysSpec{count: defaultTrackedKeys, sample: 1}
	for problem == "" && p.next < len(p.args) {
		problem = p.option(&spec)
	}
	if problem == "" && !spec.cpu && !spec.net {
		problem = "METRICS parameter is required"
	}
	return spec, problem
}

// option reads one option with all that belongs to it.
func (p *startParser) option(spec *hotkeysSpec) (problem string) {
	arg := p.take()
	name := string(bytes.ToUpper(arg))
	if slices.Contains(p.seen, name) {
		return name + " specified multiple times"
	}
	var v int64
	switch p.seen = append(p.seen, name); name {
	case "METRICS":
		return p.metrics(spec)
	case "COUNT":
		v, problem = p.number("COUNT", 1, mostTrackedKeys)
		spec.count = int(v)
	case "DURATION":
		v, problem = p.number("DURATION", 0, maxTrackedSeconds)
		spec.duration = time.Duration(v) * time.Second
	case "SAMPLE":
		spec.sample, problem = p.number("SAMPLE", 1, maxTrackedSample)
	case "SLOTS":
		return p.slots(spec)
	case "CPU", "NET":
		return "METRICS count does not match number of metrics provided"
	default:
		return "syntax error, unknown option '" + shown(arg) + "'"
	}
	return problem
}

// take returns the next argument, nil when there is none.
func (p *startParser) take() []byte {
	if p.next == len(p.args) {
		return nil
	}
	p.next++
	return argument(p.frame, p.args, p.next-1)
}

// number reads the value of an option.
func (p *startParser) number(name string, least, most int64) (v int64, problem string) {
	if p.next == len(p.args) {
		return 0, "syntax error, " + name + " needs a value"
	}
	v, ok := integer(p.take())
	if !ok || v < least || v > most {
		return 0, name + " must be between " + strconv.FormatInt(least, 10) + " and " + strconv.FormatInt(most, 10)
	}
	return v, ""
}

func (p *startParser) metrics(spec *hotkeysSpec) string {
	if p.next == len(p.args) {
		return "syntax error, METRICS needs a value"
	}
	n, ok := integer(p.take())
	if !ok || n <= 0 {
		return "METRICS count must be a positive number"
	}
	given := int64(0)
	for ; p.next < len(p.args); given++ {
		metric := &spec.cpu
		if name := argument(p.frame, p.args, p.next); equalFold(name, "net") {
			metric = &spec.net
		} else if !equalFold(name, "cpu") {
			break
		}
		if *metric {
			return "METRICS " + string(bytes.ToUpper(p.take())) + " specified multiple times"
		}
		*metric = true
		p.next++
	}
	switch {
	case given == n:
		return ""
	case given < n && p.next < len(p.args) && !isStartOption(argument(p.frame, p.args, p.next)):
		return "METRICS must be CPU or NET, not '" + shown(p.take()) + "'"
	default:
		return "METRICS count does not match number of metrics provided"
	}
}

func isStartOption(b []byte) bool {
	for _, name := range []string{"metrics", "count", "duration", "sample", "slots"} {
		if equalFold(b, name) {
			return true
		}
	}
	return false
}

func (p *startParser) slots(spec *hotkeysSpec) string {
	n, problem := p.number("SLOTS count", 1, hotkey.SlotCount)
	if problem != "" {
		return problem
	}
	spec.slots = new(hotkey.SlotSet)
	for range n {
		if p.next == len(p.args) {
			return "SLOTS count does not match number of slots provided"
		}
		arg := p.take()
		slot, ok := integer(arg)
		switch {
		case !ok && isStartOption(arg):
			return "SLOTS count does not match number of slots provided"
		case !ok || slot < 0 || slot > lastSlot:
			return "SLOTS has an invalid or out of range slot '" + shown(arg) + "'"
		case !spec.slots.Add(int(slot)):
			return "SLOTS has slot " + strconv.FormatInt(slot, 10) + " specified multiple times"
		}
	}
	return ""
}

// shown is an argument as far as an error shows it.
func shown(b []byte) string { return cString(b[:min(len(b), 128)]) }
