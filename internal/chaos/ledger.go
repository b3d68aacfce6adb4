package chaos

import (
	"fmt"
	"strconv"
	"strings"
)

// meter is the ledger of a number that commands make grow: a counter, or the
// length of a list or text. It may be the whole of it, or one client's share.
type meter struct {
	base   int64 // what it began with
	low    int64 // the base plus what was acknowledged
	high   int64 // low plus what may have been executed, too
	last   int64 // the value of the last acknowledgement
	shared bool  // the sum of several shares
	lossy  bool  // the cluster may lose acknowledged writes
}

// newMeter returns the ledger of a number that is base.
func newMeter(base int64, lossy bool) meter {
	return meter{base: base, low: base, high: base, last: base, lossy: lossy}
}

// ack takes the reply of a command that added n, when nobody else adds to the
// number. It returns what is wrong with it.
func (m *meter) ack(v any, n int64) problem {
	m.low, m.high = m.low+n, m.high+n
	got, ok := v.(int64)
	low, high := m.low, m.high
	switch {
	case !ok:
		return bad("the reply is %s, not a number", show(v))
	case got > high:
		m.low, m.high = low+got-high, got // reported once is enough
		return bad("the reply is %d, but at most %d was added up: executed twice, or a reply of another command", got, high)
	case !m.lossy && got < low && n <= got && got <= n+high-low:
		lost := m.anew(got, n)
		return problem{text: fmt.Sprintf("the reply is %d, but %d was acknowledged: lost, it has begun anew", got, low), short: 1, lost: lost}
	case !m.lossy && got < low:
		m.low = got
		return bad("the reply is %d, but %d was acknowledged: lost, or a reply of another command", got, low)
	case !m.lossy && got <= m.last:
		return bad("the reply is %d, after %d", got, m.last)
	}
	m.last = got
	return problem{}
}

// anew forgets what was before the number began at zero again, when the command that added
// n got this value. What was open may still be executed, if it was not. It
// returns how much was acknowledged before.
func (m *meter) anew(got, n int64) (lost int64) {
	lost = m.low - n - m.base
	m.base, m.low, m.high, m.last = 0, n, n+m.high-m.low, got
	return lost
}

// ackShared is ack for a number that others add to as well.
func (m *meter) ackShared(v any, n int64) problem {
	m.low, m.high = m.low+n, m.high+n
	got, ok := v.(int64)
	if !ok {
		return bad("the reply is %s, not a number", show(v))
	}
	if !m.lossy && got <= m.last {
		last := m.last
		if got < n {
			return bad("the reply is %d, after %d", got, last)
		}
		lost := m.anew(got, n)
		return problem{text: fmt.Sprintf("the reply is %d, after %d", got, last), short: 1, lost: lost}
	}
	m.last = got
	return problem{}
}

// unsure takes a command that may have added n.
func (m *meter) unsure(n int64) { m.high += n }

// add puts the share of another client, which began at 0, on top.
func (m *meter) add(o meter) { m.low, m.high = m.low+o.low, m.high+o.high }

// final compares with the value in the end. It returns how much is missing when the
// cluster may lose it, and otherwise what is wrong.
func (m *meter) final(got int64) (lost int64, p problem) {
	switch {
	case got > m.high:
		return 0, bad("ends at %d, but at most %d was added up: %d executed twice", got, m.high, got-m.high)
	case got >= m.low:
		return 0, problem{}
	case m.lossy:
		return m.low - got, problem{}
	}
	p = bad("ends at %d, but %d was acknowledged: %d lost", got, m.low, m.low-got)
	// Of the shares nobody knows what was added since it began anew; of a number with one
	// writer, whose last reply did not show that, only what is open can have been.
	if got >= 0 && (m.shared || got <= m.high-m.low) {
		p.short, p.lost = 1, m.low-m.base
		if m.shared {
			p.lost -= got
		}
	}
	return 0, p
}

// fate is what is known of a command.
type fate uint8

const (
	open  fate = iota // sent; it may have been executed, or not
	acked             // executed
	never             // not executed, says its error
)

// journal is the ledger of the elements that one client put at the end of a list or
// a text. An element is "c<client>-<number>".
type journal struct {
	client int
	fates  []fate // by number
}

// next returns the next element, and its number.
func (j *journal) next() (n int, element string) {
	n = len(j.fates)
	j.fates = append(j.fates, open)
	return n, elementText(j.client, n)
}

// elementText is the text of an element.
func elementText(client, n int) string {
	return "c" + strconv.Itoa(client) + "-" + strconv.Itoa(n)
}

// parseElement is the reverse of elementText.
func parseElement(text string) (client, n int, ok bool) {
	c, num, found := strings.Cut(strings.TrimPrefix(text, "c"), "-")
	client, err1 := strconv.Atoi(c)
	n, err2 := strconv.Atoi(num)
	return client, n, found && err1 == nil && err2 == nil && elementText(client, n) == text
}

// compare holds the elements in the end against the journals of all that wrote to
// the key. Missing ones are counted when the cluster may lose them.
func compare(key string, elements []string, journals []*journal, lossy bool) (lost int64, problems []problem) {
	c := comparison{journals: map[int]*journal{}, seen: map[int][]bool{}, last: map[int]int{}}
	for _, j := range journals {
		c.journals[j.client], c.seen[j.client], c.last[j.client] = j, make([]bool, len(j.fates)), -1
	}
	for _, e := range elements {
		c.element(e)
	}
	for _, j := range journals {
		lost += c.missing(j)
	}
	if lost == 0 || lossy {
		return lost, c.problems
	}
	if c.behind != "" {
		c.problem("%d acknowledged elements are missing, the first is %s; %s is one behind what is there", lost, c.first, c.behind)
		return 0, c.problems
	}
	p := gone(key, "%d acknowledged elements are missing, the first is %s", lost, c.first)
	p.lost = lost
	return 0, append(c.problems, p)
}

// comparison is the state of compare.
type comparison struct {
	journals map[int]*journal
	seen     map[int][]bool
	last     map[int]int // number of the last acknowledged element so far
	first    string      // first missing element
	behind   string      // a missing element behind one that is there: not all before some moment is gone
	problems []problem
}

func (c *comparison) problem(format string, args ...any) {
	c.problems = append(c.problems, bad(format, args...))
}

// element takes the next element of what is there.
func (c *comparison) element(text string) {
	client, n, ok := parseElement(text)
	j := c.journals[client]
	if !ok || j == nil || n < 0 || n >= len(j.fates) {
		c.problem("element %q is there, which nobody sent to this key", text)
		return
	}
	if c.seen[client][n] {
		c.problem("element %s is there twice", text)
		return
	}
	c.seen[client][n] = true
	switch {
	case j.fates[n] == never:
		c.problem("element %s is there, but its error said that it was not executed", text)
	case j.fates[n] == acked && n < c.last[client]:
		c.problem("element %s comes after %s", text, elementText(client, c.last[client]))
	case j.fates[n] == acked:
		c.last[client] = n
	}
}

// missing counts the acknowledged elements of a client that are not there.
func (c *comparison) missing(j *journal) (n int64) {
	there := false // one that was sent before
	for i, f := range j.fates {
		switch {
		case f != acked:
			continue
		case c.seen[j.client][i]:
			there = true
			continue
		case there:
			c.behind = elementText(j.client, i)
		}
		if c.first == "" {
			c.first = elementText(j.client, i)
		}
		n++
	}
	return n
}

// register is the ledger of a key that one client sets. Values carry numbers that
// only grow.
type register struct {
	key    string
	client int
	sent   int64   // number of the last value that was sent, 0 for none
	acked  int64   // number of the last acknowledged value
	open   []int64 // numbers of later values that may have been set
	lossy  bool
}

// next returns the next value to set, and its number.
func (r *register) next(size int) (n int64, v string) {
	r.sent++
	return r.sent, value(r.key, r.client, r.sent, size)
}

// ack takes the reply to a SET or MSET of a value.
func (r *register) ack(n int64, v any) problem {
	r.acked = n
	for len(r.open) > 0 && r.open[0] <= n {
		r.open = r.open[1:]
	}
	return isOK(v)
}

// unsure takes a value that may have been set.
func (r *register) unsure(n int64) { r.open = append(r.open, n) }

// read takes the reply to a GET that was sent after all that the ledger knows. It
// returns whether the value is an older one than was acknowledged, when the cluster may
// lose that, and otherwise what is wrong.
func (r *register) read(v any) (lost bool, p problem) {
	switch {
	case v == nil && r.acked == 0:
		return false, problem{}
	case v == nil && r.lossy:
		return true, problem{}
	case v == nil:
		return false, gone(r.key, "the reply is null, not a value, but %d was acknowledged", r.acked)
	}
	client, n, what := parseValue(v, r.key)
	switch {
	case what != "":
		return false, bad("%s", what)
	case client != r.client || n > r.sent:
		return false, bad("value %d of client %d, which was not sent to this key", n, client)
	case n == r.acked || r.isOpen(n):
		return false, problem{}
	case n < r.acked && r.lossy:
		return true, problem{}
	case n < r.acked:
		return false, bad("value %d, but %d was acknowledged", n, r.acked)
	}
	return false, bad("value %d, which was sent later, or whose error said that it was not executed", n)
}

// isOpen reports whether the value may have been set after the acknowledged one.
func (r *register) isOpen(n int64) bool {
	for _, o := range r.open {
		if o == n {
			return true
		}
	}
	return false
}

// value makes a value that can be recognised: key, client, number, the size of the
// filling, the filling.
func value(key string, client int, n int64, size int) string {
	head := key + "|" + strconv.Itoa(client) + "|" + strconv.FormatInt(n, 10) + "|" + strconv.Itoa(size) + "|"
	return head + filling(n, size)
}

// fillers are repeated to fill values.
const fillers = "abcdefghijklmnopqrstuvwxyz"

// filling is text of the given size that depends on n.
func filling(n int64, size int) string {
	if size == 0 {
		return ""
	}
	start := int(n % int64(len(fillers)))
	return strings.Repeat(fillers, size/len(fillers)+2)[start : start+size]
}

// parseValue takes the reply to a GET of key apart, and returns what is wrong with it.
func parseValue(v any, key string) (client int, n int64, problem string) {
	text, ok := v.(string)
	if !ok {
		return 0, 0, fmt.Sprintf("the reply is %s, not a value", show(v))
	}
	parts := strings.SplitN(text, "|", 5)
	if len(parts) != 5 {
		return 0, 0, fmt.Sprintf("the reply is %s, not a value of ours", show(v))
	}
	if parts[0] != key {
		return 0, 0, fmt.Sprintf("the reply is a value of key %s", parts[0])
	}
	client, err1 := strconv.Atoi(parts[1])
	n, err2 := strconv.ParseInt(parts[2], 10, 64)
	size, err3 := strconv.Atoi(parts[3])
	if err1 != nil || err2 != nil || err3 != nil || n < 0 || size != len(parts[4]) || parts[4] != filling(n, size) {
		return 0, 0, fmt.Sprintf("the value is damaged: %s", show(v))
	}
	return client, n, ""
}

// show writes a reply for people, shortened.
func show(v any) string {
	const most = 80
	text := fmt.Sprintf("%T %q", v, fmt.Sprint(v))
	if v == nil {
		return "null"
	}
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}
