package resp

// Arg says where an argument lies within a frame, in bytes.
type Arg struct{ Off, Len uint32 }

// Parser cuts requests out of a stream of bytes. The zero value is ready. It is a plain struct
// without a tie to a connection: a loop can use one for all its connections, and hand it over,
// by pointer, to one that was left with half a frame.
type Parser struct {
	// Args are the arguments of the frame that Parse returned last, as offsets into Frame. They
	// hold until the next call of Parse or Reset.
	Args []Arg

	pos  int // next byte to parse: of a line, or of a payload when body > 0
	seen int // the end of the line at pos is not in front of this offset
	left int // arguments still to come
	body int // bytes of the payload at pos with its line end; 0 when a line is next
	need int // see Need
	n    int // length of the last frame

	mode   mode
	inline bool   // the last frame was an inline command
	off    int    // where in line its frame begins
	line   []byte // arguments of an inline command, then the frame made of them
}

// mode is what a parser is in the middle of.
type mode uint8

const (
	idle     mode = iota // between frames
	inCount              // the line of the multibulk count
	inArgs               // the arguments
	inInline             // an inline command
)

// Reset forgets a half-parsed frame. Memory is kept for the next one, unless there is much of it.
func (p *Parser) Reset() {
	args, line := p.Args[:0], p.line[:0]
	if cap(args) > keepArgs {
		args = nil
	}
	if cap(line) > keepLine {
		line = nil
	}
	*p = Parser{Args: args, line: line}
}

// Need returns, after Parse returned 0 and no error, how many more bytes the frame takes at
// least: the known rest of an argument with its line end, else 1.
func (p *Parser) Need() int { return p.need }

// Frame returns the frame that Parse found last as a RESP array; b is what Parse was given. For
// an inline command it is a buffer of the parser, good until the next call of Parse or Reset.
func (p *Parser) Frame(b []byte) []byte {
	if p.inline {
		return p.line[p.off:]
	}
	return b[:p.n]
}

// Parse looks for one whole frame, a request, at the start of b.
//
// n > 0 is the length of the frame; Args and Frame describe it. When Args is empty the frame asks
// for nothing (an empty line, a count of zero or less) and is to be skipped.
//
// 0 and no error means that the frame is not complete. The next call must come with the same
// bytes and more behind them; they may have moved in memory.
//
// An error is a *ProtocolError with Redis' text. It stays until Reset.
func (p *Parser) Parse(b []byte) (n int, err error) {
	if len(b) > MaxFrame {
		b = b[:MaxFrame]
	}
	switch p.mode {
	case idle:
		p.Args = p.Args[:0]
		p.inline = false
		if len(b) < 4 || b[0] != '*' || b[1]-'1' > 8 || b[2] != '\r' {
			return p.parseStart(b)
		}
		p.seen = 0 // an inline command before this frame has left it
		return p.parseArgs(b, 4, int(b[1]-'0'))
	case inArgs:
		return p.parseArgs(b, p.pos, p.left)
	}
	return p.parseStart(b)
}

// parseArgs is the hot loop: left arguments, the first one at pos. Lengths of up to three digits
// that lie wholly in b are read here, everything else goes through parseArg.
func (p *Parser) parseArgs(b []byte, pos, left int) (int, error) {
	for left > 0 {
		if p.body == 0 && len(b)-pos >= 6 { // the shortest argument is $0 CRLF CRLF
			w := b[pos:]
			size, start := int(w[1]-'0'), 4
			if w[0] != '$' || size > 9 {
				goto slow
			}
			if w[2] != '\r' {
				d := int(w[2] - '0')
				if d > 9 || size == 0 {
					goto slow
				}
				size, start = size*10+d, 5
				if w[3] != '\r' {
					d = int(w[3] - '0')
					if d > 9 || w[4] != '\r' {
						goto slow
					}
					size, start = size*10+d, 6
				}
			}
			if start+size+2 > len(w) {
				goto slow
			}
			p.Args = append(p.Args, Arg{Off: uint32(pos + start), Len: uint32(size)})
			pos += start + size + 2
			left--
			continue
		}
	slow:
		p.mode, p.pos, p.left = inArgs, pos, left
		if ok, err := p.parseArg(b); !ok {
			return 0, err
		}
		pos, left = p.pos, p.left
	}
	p.n = pos
	p.mode = idle
	return pos, nil
}

// parseStart begins a frame, or goes on with its first line.
func (p *Parser) parseStart(b []byte) (int, error) {
	if p.mode == idle {
		if len(b) == 0 {
			p.need = 1
			return 0, nil
		}
		p.pos, p.seen, p.body = 0, 0, 0
		p.mode = inInline
		if b[0] == '*' {
			p.mode = inCount
		}
	}
	if p.mode == inInline {
		return p.parseInline(b)
	}
	return p.parseCount(b)
}

func (p *Parser) parseCount(b []byte) (int, error) {
	end, err := p.lineEnd(b, '\r', 1, errCountSize)
	if end < 0 {
		return 0, err
	}
	count, ok := parseInt(b[1:end])
	if !ok || count > MaxArgs {
		return 0, errCount
	}
	p.seen = 0
	return p.parseArgs(b, end+2, int(max(count, 0)))
}

// parseArg parses the argument at p.pos, or as much of it as there is. It reports whether the
// argument is complete. Redis decides nothing before the line of the length has its end.
func (p *Parser) parseArg(b []byte) (ok bool, err error) {
	if p.body == 0 {
		end, err := p.lineEnd(b, '\r', 1, errBulkSize)
		if end < 0 {
			return false, err
		}
		if b[p.pos] != '$' {
			return false, errDollar(b[p.pos])
		}
		size, ok := parseInt(b[p.pos+1 : end])
		if !ok || size < 0 || size > MaxBulk {
			return false, errBulk
		}
		p.pos, p.seen, p.body = end+2, 0, int(size)+2
	}
	if p.pos+p.body > MaxFrame {
		return false, errRequestSize
	}
	if rest := p.pos + p.body - len(b); rest > 0 {
		p.need = rest
		return false, nil
	}
	p.Args = append(p.Args, Arg{Off: uint32(p.pos), Len: uint32(p.body - 2)})
	p.pos += p.body
	p.body = 0
	p.left--
	return true, nil
}

// lineEnd returns where the line at p.pos ends: the offset of the first delim, once there are
// extra bytes behind it. It returns -1 when that needs more bytes, or, with the error tooBig, when
// the line is over MaxLine. A NUL hides what is behind it, because Redis searches with strchr.
func (p *Parser) lineEnd(b []byte, delim byte, extra int, tooBig *ProtocolError) (int, error) {
	window := b[:min(len(b), p.pos+MaxLine+1)]
	i := max(p.seen, p.pos)
	for i < len(window) && window[i] != delim && window[i] != 0 {
		i++
	}
	p.seen = i
	p.need = 1
	switch {
	case i < len(window) && window[i] == delim:
		if i+extra < len(b) {
			return i, nil
		}
	case len(b)-p.pos > MaxLine:
		return -1, tooBig
	}
	if len(b) >= MaxFrame {
		return -1, errRequestSize
	}
	return -1, nil
}
