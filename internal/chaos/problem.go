package chaos

import (
	"fmt"

	"samaritan/internal/testredis"
)

// problem is what is wrong with a reply, or with a value in the end. The zero value says
// that nothing is.
//
// Most problems are violations, whatever happened. Those that are short look exactly as
// if a node had deleted whole keys, with all that was acknowledged, and nothing
// else were wrong. They are violations unless Redis itself did that to the slots
// of these keys; see [OwnLoss].
type problem struct {
	text  string
	short int      // at least so many of the keys were deleted, or 0
	keys  []string // of a short one
	lost  int64    // acknowledged writes that it adds to what the round has lost
}

// bad is a problem that nothing excuses.
func bad(format string, args ...any) problem {
	return problem{text: fmt.Sprintf(format, args...)}
}

// gone is the problem of a key that was deleted, and perhaps has begun anew.
func gone(key, format string, args ...any) problem {
	return problem{text: fmt.Sprintf(format, args...), short: 1, keys: []string{key}}
}

// ok reports whether nothing is wrong.
func (p problem) ok() bool { return p.text == "" }

// of names the key of a short problem of one that does not know its key.
func (p problem) of(key string) problem {
	if p.short > 0 {
		p.keys = []string{key}
	}
	return p
}

// uncounted is the problem without the writes, which are counted elsewhere.
func (p problem) uncounted() problem {
	p.lost = 0
	return p
}

// with puts the problems of two keys of one reply together. One that nothing excuses
// stands alone.
func (p problem) with(o problem) problem {
	switch {
	case p.ok() || !o.ok() && o.short == 0 && p.short > 0:
		return o
	case o.ok() || p.short == 0:
		return p
	}
	p.short, p.lost = p.short+o.short, p.lost+o.lost
	p.keys = append(p.keys, o.keys...)
	return p
}

// excused reports whether the loss of these slots explains the problem.
func (p problem) excused(slots map[uint16]bool) bool {
	explained := 0
	for _, k := range p.keys {
		if slots[testredis.Slot(k)] {
			explained++
		}
	}
	return p.short > 0 && explained >= p.short
}

// slots writes the slots of the keys, and how many of them at least are short: problems
// for which this is the same are excused by the same losses.
func (p problem) slots() string {
	var slots []uint16
	for _, k := range p.keys {
		slots = append(slots, testredis.Slot(k))
	}
	return fmt.Sprint(p.short, slots)
}
