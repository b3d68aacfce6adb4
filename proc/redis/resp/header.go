package resp

// kind is how an element goes on behind its first line.
type kind uint8

const (
	scalar    kind = iota // it ends with the line; also null
	bulk                  // n bytes and a CRLF follow
	aggregate             // n elements follow
)

// header is the first line of an element.
type header struct {
	typ  byte
	kind kind
	n    int64 // bytes of a bulk, elements of an aggregate (two for a pair)
}

// parseHeader parses a line, given without its CRLF. Payload layouts, by first byte:
//
//	+text  -text  :int64  _  #t|#f  ,double  (digits                 one line
//	$len payload  !len payload  =len fmt:payload                     bulk; $-1 is null
//	*n elements  ~n elements  >n elements  %n pairs  |n pairs        aggregate; *-1 is null
func parseHeader(line []byte) (header, error) {
	if len(line) == 0 {
		return header{}, errReplyType
	}
	h, text := header{typ: line[0]}, line[1:]
	switch h.typ {
	case '$', '!', '=', '*', '~', '>', '%', '|':
		return h.parseLength(text)
	case ';', '.':
		return h, errStreamed
	}
	return h, checkScalar(h.typ, text)
}

// checkScalar checks the text of an element that is one line.
func checkScalar(typ byte, text []byte) error {
	ok := true
	switch typ {
	case '+', '-':
	case ':':
		if _, ok := parseInt(text); !ok {
			return errReplyInt
		}
	case '_':
		ok = len(text) == 0
	case '#':
		ok = len(text) == 1 && (text[0] == 't' || text[0] == 'f')
	case ',':
		ok = isDouble(text)
	case '(':
		ok = isBigNumber(text)
	default:
		return errReplyType
	}
	if !ok {
		return errReplyText
	}
	return nil
}

// parseLength fills in kind and n.
func (h header) parseLength(text []byte) (header, error) {
	n, ok := parseInt(text)
	switch {
	case string(text) == "?":
		return h, errStreamed
	case ok && n == -1 && (h.typ == '$' || h.typ == '*'):
		return h, nil
	case !ok || n < 0 || h.typ == '=' && n < 4:
		return h, errReplyLength
	case n > maxFor(h.typ):
		return h, errReplySize
	}
	h.kind, h.n = bulk, n
	switch h.typ {
	case '*', '~', '>':
		h.kind = aggregate
	case '%', '|':
		h.kind, h.n = aggregate, 2*n
	}
	return h, nil
}

// maxFor returns the largest length or count that can fit into a reply.
func maxFor(typ byte) int64 {
	switch typ {
	case '$', '!', '=':
		return MaxFrame
	case '%', '|':
		return maxElems / 2
	}
	return maxElems
}

// checkBody checks the payload of a bulk, given with its CRLF.
func checkBody(typ byte, body []byte) error {
	n := len(body) - 2
	if body[n] != '\r' || body[n+1] != '\n' {
		return errReplyEnd
	}
	if typ == '=' && body[3] != ':' {
		return errReplyText
	}
	return nil
}

// findLine looks for the CRLF of a line in b from offset i on. It returns its offset, or -1 and the
// offset to go on from. Neither byte may stand alone: readers that differ about where such a
// line ends would fall out of step.
func findLine(b []byte, i int) (end, seen int, err error) {
	for i < len(b) && b[i] != '\r' && b[i] != '\n' {
		i++
	}
	switch {
	case i == len(b):
		return -1, i, nil
	case b[i] == '\n':
		return -1, i, errReplyEnd
	case i+1 == len(b):
		return -1, i, nil
	case b[i+1] != '\n':
		return -1, i, errReplyEnd
	}
	return i, i, nil
}

// quick returns the length of the element at the start of b when it is whole and one of the common
// ones: a bulk string of up to 99999 bytes, +OK, or an integer of up to five digits. It returns 0 for
// all others, right or wrong.
func quick(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	typ := b[0]
	if typ == '+' {
		if len(b) >= 5 && string(b[:5]) == "+OK\r\n" {
			return 5
		}
		return 0
	}
	if typ != '$' && typ != ':' {
		return 0
	}
	n := int(b[1] - '0')
	i := 2
	if n > 9 {
		return 0
	}
	if n > 0 {
		for ; i < len(b) && i < 6; i++ {
			d := int(b[i] - '0')
			if d > 9 {
				break
			}
			n = n*10 + d
		}
	}
	if len(b)-i < 2 || b[i] != '\r' || b[i+1] != '\n' {
		return 0
	}
	i += 2
	if typ == ':' {
		return i
	}
	if len(b)-i-2 < n {
		return 0
	}
	b = b[i+n:]
	if len(b) < 2 || b[0] != '\r' || b[1] != '\n' {
		return 0
	}
	return i + n + 2
}
