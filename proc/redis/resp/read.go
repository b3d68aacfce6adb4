package resp

// Header reads the first line of a whole reply, as Scan or Next cut it, without allocating.
//
//	typ            n                        body
//	* ~ > % |      elements (pairs: % |)    what follows the header
//	$ ! =          bytes of the payload     the payload (=: with its "txt:")
//	:              the value                its digits
//	#              1 or 0                   t or f
//	+ - , (        bytes of the text        the text
//	null           -1                       nil
//
// Null is the type '_', or '$' or '*' with n == -1. An error is a *ProtocolError.
func Header(reply []byte) (typ byte, n int64, body []byte, err error) {
	h, rest, err := readHeader(reply)
	if err != nil {
		return h.typ, 0, nil, err
	}
	line := reply[1 : len(reply)-len(rest)-2]
	switch h.kind {
	case aggregate:
		if h.typ == '%' || h.typ == '|' {
			h.n /= 2
		}
		return h.typ, h.n, rest, nil
	case bulk:
		body, _, err = cutBody(h, rest)
		return h.typ, h.n, body, err
	}
	switch h.typ {
	case '$', '*', '_':
		return h.typ, -1, nil, nil
	case ':':
		n, _ = parseInt(line)
	case '#':
		if line[0] == 't' {
			n = 1
		}
	default:
		n = int64(len(line))
	}
	return h.typ, n, line, nil
}

// Next cuts the first whole element, with the attributes in front of it, off a sequence of elements
// such as the body that Header returns. It does not allocate. An error is a *ProtocolError, also
// when b ends too early. Nesting is not bounded here: it costs nothing.
func Next(b []byte) (elem, rest []byte, err error) {
	rest = b
	for left := int64(1); left > 0; {
		if n := quick(rest); n > 0 {
			rest = rest[n:]
			left--
			continue
		}
		var h header
		if h, rest, err = readHeader(rest); err != nil {
			return nil, b, err
		}
		if h.typ != '|' {
			left--
		}
		switch h.kind {
		case aggregate:
			left += h.n
		case bulk:
			if _, rest, err = cutBody(h, rest); err != nil {
				return nil, b, err
			}
		}
	}
	return b[:len(b)-len(rest)], rest, nil
}

// SkipAttributes returns reply from the element on that its attributes stand in front of.
func SkipAttributes(reply []byte) ([]byte, error) {
	for len(reply) > 0 && reply[0] == '|' {
		_, n, body, err := Header(reply)
		if err != nil {
			return nil, err
		}
		for range 2 * n {
			if _, body, err = Next(body); err != nil {
				return nil, err
			}
		}
		reply = body
	}
	return reply, nil
}

// readHeader parses the line at the start of b and returns what follows it.
func readHeader(b []byte) (h header, rest []byte, err error) {
	end, _, err := findLine(b[:min(len(b), MaxLine+2)], 0)
	if err != nil {
		return h, nil, err
	}
	if end < 0 {
		return h, nil, errTruncated
	}
	h, err = parseHeader(b[:end])
	return h, b[end+2:], err
}

// cutBody cuts the payload of a bulk off the start of b and checks it.
func cutBody(h header, b []byte) (body, rest []byte, err error) {
	if int64(len(b)) < h.n+2 {
		return nil, nil, errTruncated
	}
	if err := checkBody(h.typ, b[:h.n+2]); err != nil {
		return nil, nil, err
	}
	return b[:h.n], b[h.n+2:], nil
}

// NextString finds the first bulk string ('$', not null) in a sequence of elements, such as a whole
// reply, on whatever level it lies. It returns where its header begins, its payload, and where what
// follows its CRLF begins, as offsets into b. end is 0 when there is none that begins in the first most bytes, or when b
// ends too early; head is then how far it has looked: at an element to go on with, or len(b).
func NextString(b []byte, most int) (head int, payload []byte, end int) {
	for head < min(len(b), most) {
		h, rest, err := readHeader(b[head:])
		if err != nil {
			return head, nil, 0
		}
		next := len(b) - len(rest)
		if h.kind == bulk {
			if int64(len(rest)) < h.n+2 {
				return head, nil, 0
			}
			if h.typ == '$' {
				return head, rest[:h.n], next + int(h.n) + 2
			}
			next += int(h.n) + 2
		}
		head = next
	}
	return head, nil, 0
}
