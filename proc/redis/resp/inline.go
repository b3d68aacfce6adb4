package resp

import "bytes"

// parseInline parses a command that comes as a line of text. It makes a RESP array of it in
// p.line: first the bare arguments go there, one after the other, then the array is built behind
// them, when their number and lengths are known.
func (p *Parser) parseInline(b []byte) (int, error) {
	end, err := p.lineEnd(b, '\n', 0, errInlineSize)
	if end < 0 {
		return 0, err
	}
	if !p.splitLine(bytes.TrimSuffix(b[:end], []byte{'\r'})) {
		return 0, errQuotes
	}
	p.encodeLine()
	p.mode, p.inline, p.n = idle, true, end+1
	return p.n, nil
}

// splitLine splits text, which holds no NUL, at blanks into p.line and p.Args. It reports false
// when a quote is not closed, or when something follows the closing quote directly.
func (p *Parser) splitLine(text []byte) bool {
	p.line, p.Args = p.line[:0], p.Args[:0]
	for {
		for len(text) > 0 && isSpace(text[0]) {
			text = text[1:]
		}
		if len(text) == 0 {
			return true
		}
		start, ok := len(p.line), false
		if text, ok = p.word(text); !ok {
			return false
		}
		p.Args = append(p.Args, Arg{Off: uint32(start), Len: uint32(len(p.line) - start)})
	}
}

// word appends the first word of text to p.line and returns the rest. Quotes may open anywhere in
// a word; where they close, the word ends. Vertical tab and form feed separate words but do not
// end one, a peculiarity of Redis.
func (p *Parser) word(text []byte) (rest []byte, ok bool) {
	for len(text) > 0 {
		switch c := text[0]; c {
		case ' ', '\n', '\r', '\t':
			return text, true
		case '"':
			return closed(p.quoted(text[1:]))
		case '\'':
			return closed(p.singleQuoted(text[1:]))
		default:
			p.line = append(p.line, c)
			text = text[1:]
		}
	}
	return text, true
}

// closed checks that nothing but a blank follows a closing quote.
func closed(rest []byte, ok bool) ([]byte, bool) {
	return rest, ok && (len(rest) == 0 || isSpace(rest[0]))
}

// quoted appends what is in front of the next double quote, escapes resolved.
func (p *Parser) quoted(text []byte) (rest []byte, ok bool) {
	for len(text) > 0 {
		c, n := text[0], 1
		switch {
		case c == '"':
			return text[1:], true
		case c == '\\' && len(text) > 3 && text[1] == 'x' && isHex(text[2]) && isHex(text[3]):
			c, n = hexValue(text[2])<<4|hexValue(text[3]), 4
		case c == '\\' && len(text) > 1:
			c, n = unescape(text[1]), 2
		}
		p.line = append(p.line, c)
		text = text[n:]
	}
	return nil, false
}

// singleQuoted appends what is in front of the next single quote. Only \' is an escape.
func (p *Parser) singleQuoted(text []byte) (rest []byte, ok bool) {
	for len(text) > 0 {
		c, n := text[0], 1
		switch {
		case c == '\'':
			return text[1:], true
		case c == '\\' && len(text) > 1 && text[1] == '\'':
			c, n = '\'', 2
		}
		p.line = append(p.line, c)
		text = text[n:]
	}
	return nil, false
}

// encodeLine appends the array to p.line and turns Args into offsets into it.
func (p *Parser) encodeLine() {
	p.off = len(p.line)
	p.line = AppendArrayHeader(p.line, len(p.Args))
	for i, a := range p.Args {
		p.line = appendHeader(p.line, '$', int64(a.Len))
		p.Args[i].Off = uint32(len(p.line) - p.off)
		p.line = append(p.line, p.line[a.Off:a.Off+a.Len]...)
		p.line = append(p.line, '\r', '\n')
	}
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c-'\t' < 5 }

func isDigit(c byte) bool { return c-'0' < 10 }

func isHex(c byte) bool { return isDigit(c) || c|0x20-'a' < 6 }

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
