package resp

// Scanner cuts replies out of the bytes of a server. The zero value is ready.
//
// It knows both protocol versions at once; streamed types are refused, as no server sends them.
// It does not recurse: it counts the elements that are still to come, on a stack that grows when
// an aggregate is met, to MaxDepth at most, and is kept for the next replies.
type Scanner struct {
	pos   int      // next byte to parse: of a line, or of a payload when body > 0
	seen  int      // the line at pos has no end in front of this offset
	body  int      // bytes of the payload at pos with its CRLF; 0 when a line is next
	need  int      // see Need
	left  uint32   // elements to come on the current level; 0 only between replies
	typ   byte     // of the element at pos, when body > 0
	stack []uint32 // left of the levels around the current one
}

// Reset forgets a half-scanned reply. Memory is kept.
func (s *Scanner) Reset() { *s = Scanner{stack: s.stack[:0]} }

// Need returns, after Scan returned 0 and no error, how many more bytes the reply takes at least:
// the known rest of a bulk string with its CRLF, else 1.
func (s *Scanner) Need() int { return s.need }

// Scan looks for one whole reply at the start of b.
//
// n > 0 is its length, the attributes in front of it included. A push message is a reply like any
// other here; its first byte, behind attributes, tells. 0 and no error means that the reply is not
// complete: the next call must come with the same bytes and more behind them; they may have moved
// in memory. An error is a *ProtocolError, which stays until Reset.
func (s *Scanner) Scan(b []byte) (n int, err error) {
	if s.left == 0 {
		if n := quick(b); n > 0 {
			return n, nil
		}
		s.pos, s.seen, s.body, s.left = 0, 0, 0, 1
	}
	if len(b) > MaxFrame {
		b = b[:MaxFrame]
	}
	for s.left > 0 {
		if s.body == 0 {
			s.skipQuick(b)
			if s.left == 0 {
				break
			}
			if ok, err := s.scanLine(b); !ok {
				return 0, err
			}
		}
		if s.body > 0 {
			if ok, err := s.scanBody(b); !ok {
				return 0, err
			}
		}
	}
	return s.pos, nil
}

// skipQuick takes the elements at s.pos that are whole and of the common types.
func (s *Scanner) skipQuick(b []byte) {
	if s.seen > s.pos {
		return // in the middle of a line
	}
	pos, left := s.pos, s.left
	for left > 0 {
		n := quick(b[pos:])
		if n == 0 {
			break
		}
		pos += n
		left--
	}
	done := left < s.left
	s.pos, s.left = pos, left
	if done {
		s.pop()
	}
}

// scanLine parses the line at s.pos, an element or the header of one. It reports false when the
// line is not complete or wrong.
func (s *Scanner) scanLine(b []byte) (ok bool, err error) {
	end, err := s.lineEnd(b)
	if end < 0 {
		return false, err
	}
	h, err := parseHeader(b[s.pos:end])
	if err != nil {
		return false, err
	}
	switch h.kind {
	case scalar:
		s.left--
	case bulk: // counted when its payload is there
		s.typ, s.body = h.typ, int(h.n)+2
	case aggregate:
		if h.n > 0 && len(s.stack) == MaxDepth {
			return false, errReplyDepth
		}
		if h.typ != '|' { // attributes are no element, they come with one
			s.left--
		}
		if h.n > 0 {
			s.stack = append(s.stack, s.left)
			s.left = uint32(h.n)
		}
	}
	s.pos, s.seen = end+2, 0
	if s.body == 0 {
		s.pop()
	}
	return true, nil
}

// scanBody takes the payload at s.pos. It reports false when it is not complete or wrong.
func (s *Scanner) scanBody(b []byte) (ok bool, err error) {
	end := s.pos + s.body
	if end > MaxFrame {
		return false, errReplySize
	}
	if end > len(b) {
		s.need = end - len(b)
		return false, nil
	}
	if err := checkBody(s.typ, b[s.pos:end]); err != nil {
		return false, err
	}
	s.pos, s.body = end, 0
	s.left--
	s.pop()
	return true, nil
}

// pop leaves the levels that are complete.
func (s *Scanner) pop() {
	for s.left == 0 && len(s.stack) > 0 {
		top := len(s.stack) - 1
		s.left = s.stack[top]
		s.stack = s.stack[:top]
	}
}

// lineEnd returns the offset of the CRLF that ends the line at s.pos, or -1 when it is not there yet
// or, with an error, will not come.
func (s *Scanner) lineEnd(b []byte) (int, error) {
	window := b[:min(len(b), s.pos+MaxLine+2)]
	end, seen, err := findLine(window, max(s.seen, s.pos))
	s.seen, s.need = seen, 1
	switch {
	case err != nil:
		return -1, err
	case end >= 0:
		return end, nil
	case len(window)-s.pos == MaxLine+2:
		return -1, errReplyLine
	case len(b) >= MaxFrame:
		return -1, errReplySize
	}
	return -1, nil
}
