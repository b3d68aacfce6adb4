package cluster

import (
	"bytes"
	"fmt"
	"strconv"
)

// maxDepth bounds the nesting of a reply. CLUSTER SHARDS goes five deep.
const maxDepth = 10

// value is one RESP2 or RESP3 value. It refers to the reply. Kinds of the same meaning are one:
// strings of all sorts are '$', arrays, maps, sets and pushes are '*', all nulls are '_'.
type value struct {
	kind byte
	text []byte // what a scalar says; of a container the encoded children, and what follows them
	left int    // of a container: how many children are still to come, keys and values alike
}

// parseList makes a map of the reply to command, a list, by handing each of its entries to take.
func parseList(command string, reply []byte, asked string, take func(*builder, value)) (*Map, error) {
	list, err := openReply(reply)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", command, err)
	}
	b := newBuilder(asked)
	for {
		entry, ok := list.next()
		if !ok {
			return b.finish(command)
		}
		take(b, entry)
	}
}

// openReply returns the container that reply is. Its children are checked one at a time as they are
// read, so that a reply that breaks off is good up to there.
func openReply(reply []byte) (value, error) {
	v, err := openAny(reply)
	if err == nil && v.kind != '*' {
		err = fmt.Errorf("%w: not a list: %.64q", ErrUnusable, reply)
	}
	return v, err
}

// openAny returns the value that reply is; the children of a container are not looked at yet.
func openAny(reply []byte) (value, error) {
	v, rest, ok := header(reply, maxDepth)
	switch {
	case !ok:
		return value{}, fmt.Errorf("%w: not a reply: %.64q", ErrUnusable, reply)
	case v.kind == '-':
		return value{}, fmt.Errorf("%w: node answered %.256q", ErrUnusable, v.text)
	case v.kind == '*':
		v.text = rest
	}
	return v, nil
}

// next returns the next child of a container. It fails at the end, and for good at the first child
// that is broken or cut off.
func (v *value) next() (child value, ok bool) {
	if v.left <= 0 || v.kind != '*' {
		return value{}, false
	}
	child, rest, ok := scan(v.text, maxDepth)
	if !ok {
		v.left = 0
		return value{}, false
	}
	v.text = rest
	v.left--
	return child, true
}

// pair returns the next key and value of a map, or of an array that stands for one.
func (v *value) pair() (key []byte, val value, ok bool) {
	k, ok := v.next()
	if !ok {
		return nil, value{}, false
	}
	val, ok = v.next()
	return k.str(), val, ok
}

// str returns the text of a string, nothing for other kinds.
func (v value) str() []byte {
	if v.kind != '$' {
		return nil
	}
	return v.text
}

// number returns the value of an integer, or of a string that holds one; -1 for other kinds.
func (v value) number() int64 {
	if v.kind != ':' && v.kind != '$' {
		return -1
	}
	n, ok := integer(v.text)
	if !ok {
		return -1
	}
	return n
}

// scan reads one whole value from the front of b.
func scan(b []byte, depth int) (v value, rest []byte, ok bool) {
	v, rest, ok = header(b, depth)
	if !ok || v.kind != '*' {
		return v, rest, ok
	}
	v.text = rest
	rest, ok = skip(rest, v.left, depth-1)
	return v, rest, ok
}

// skip passes over n values.
func skip(b []byte, n, depth int) (rest []byte, ok bool) {
	if depth <= 0 && n > 0 {
		return nil, false
	}
	for ; n > 0; n-- {
		if _, b, ok = scan(b, depth); !ok {
			return nil, false
		}
	}
	return b, true
}

// header reads a scalar, or the head of a container, from the front of b. Attributes of RESP3 before
// it are passed over.
func header(b []byte, depth int) (v value, rest []byte, ok bool) {
	for {
		line, rest, ok := cutLine(b)
		if !ok {
			return value{}, nil, false
		}
		switch kind, line := line[0], line[1:]; kind {
		case '+', ',', '(', '#':
			return value{kind: '$', text: line}, rest, true
		case '-', ':':
			return value{kind: kind, text: line}, rest, true
		case '_':
			return value{kind: '_'}, rest, true
		case '$', '=', '!':
			return bulk(kind, line, rest)
		case '*', '~', '>':
			return container(line, rest, 1)
		case '%':
			return container(line, rest, 2)
		case '|':
			attributes, _, ok := container(line, rest, 2)
			if !ok {
				return value{}, nil, false
			}
			if b, ok = skip(rest, attributes.left, depth-1); !ok {
				return value{}, nil, false
			}
		default:
			return value{}, nil, false
		}
	}
}

// bulk reads the body of a bulk string, verbatim string or bulk error.
func bulk(kind byte, line, b []byte) (v value, rest []byte, ok bool) {
	n, ok := integer(line)
	if ok && n == -1 {
		return value{kind: '_'}, b, true
	}
	if !ok || n < 0 || n > int64(len(b))-2 || b[n] != '\r' || b[n+1] != '\n' {
		return value{}, nil, false
	}
	v = value{kind: '$', text: b[:n]}
	if kind == '!' {
		v.kind = '-'
	}
	if kind == '=' && n >= 4 {
		v.text = v.text[4:] // the format, "txt:"
	}
	return v, b[n+2:], true
}

// container reads the number of children, each of them size values.
func container(line, b []byte, size int) (v value, rest []byte, ok bool) {
	n, ok := integer(line)
	if ok && n == -1 {
		return value{kind: '_'}, b, true
	}
	if !ok || n < 0 {
		return value{}, nil, false
	}
	// More values than bytes is a lie; the number is kept small for the arithmetic.
	return value{kind: '*', left: int(min(n, int64(len(b)))) * size}, b, true
}

// cutLine cuts the first line of b, without its end. It has at least one byte, the type.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 || b[end-1] != '\r' {
		return nil, nil, false
	}
	return b[:end-1], b[end+1:], true
}

func integer(text []byte) (int64, bool) {
	if len(text) > 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}
