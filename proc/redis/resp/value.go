package resp

import "strconv"

// Value is a reply, or an element of one, as a tree. It is for cold paths: it takes much more
// memory than the bytes it was made of.
type Value struct {
	// Type is the first byte of the element on the wire.
	Type byte
	// Null is set for $-1, *-1 and _.
	Null bool
	// Int is the value of an integer, and 1 for true.
	Int int64
	// Str is the text of a string, an error (without its leading minus), a number, and of a verbatim
	// string without its format. It lies within the bytes that were parsed.
	Str []byte
	// Elems are the elements of an aggregate. A map has keys and values in turn.
	Elems []Value
}

// ErrorReply is an error that a server sent: code, blank, text.
type ErrorReply string

// Error returns the text of the server.
func (e ErrorReply) Error() string { return string(e) }

// Err returns the error that v is, an ErrorReply, or nil.
func (v Value) Err() error {
	if v.Type == '-' || v.Type == '!' {
		return ErrorReply(v.Str)
	}
	return nil
}

// Double returns v as a floating point number; Redis sends one as a double, an integer or a
// string. The error is that of strconv.ParseFloat.
func (v Value) Double() (float64, error) { return strconv.ParseFloat(string(v.Str), 64) }

// ParseValue parses the element at the start of b and returns what follows it. Attributes are
// skipped. An error is a *ProtocolError, also when b ends too early or nests deeper than MaxDepth.
func ParseValue(b []byte) (v Value, rest []byte, err error) { return parseValue(b, 0) }

// parseValue recurses, MaxDepth levels at most.
func parseValue(b []byte, depth int) (v Value, rest []byte, err error) {
	if b, err = SkipAttributes(b); err != nil {
		return v, nil, err
	}
	typ, n, body, err := Header(b)
	if err != nil {
		return v, nil, err
	}
	v = Value{Type: typ, Null: body == nil && n == -1, Str: body}
	switch typ {
	case ':', '#':
		v.Int = n
	case '=':
		v.Str = body[len("txt:"):]
	case '*', '~', '>', '%':
		v.Str = nil
		if v.Null {
			break
		}
		if typ == '%' {
			n *= 2
		}
		v.Elems, rest, err = parseElems(body, n, depth+1)
		return v, rest, err
	}
	_, rest, err = Next(b)
	return v, rest, err
}

// parseElems parses n elements. Space for them is taken as they come.
func parseElems(b []byte, n int64, depth int) (elems []Value, rest []byte, err error) {
	if n > 0 && depth > MaxDepth {
		return nil, nil, errReplyDepth
	}
	elems = make([]Value, 0, min(n, 16))
	for range n {
		var v Value
		if v, b, err = parseValue(b, depth); err != nil {
			return nil, nil, err
		}
		elems = append(elems, v)
	}
	return elems, b, nil
}
