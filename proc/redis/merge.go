package redis

import (
	"bytes"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// check looks at the replies once all are there: an error of any part is the reply
// to the whole, and so is a reply of a shape that cannot be merged.
func (sp *split) check() {
	succeeded := -1
	for i := range sp.parts {
		p := &sp.parts[i]
		reply := p.reply.Bytes()
		typ, n, body, err := resp.Header(reply)
		switch {
		case err != nil || typ == '-' || typ == '!':
			if sp.failed < 0 {
				sp.failed = i
			}
			continue
		case sp.merge == mergeSum && typ != ':',
			sp.merge == mergeMGet && (typ != '*' || n != int64(p.keys)),
			(sp.merge == mergeAnd || sp.merge == mergeConcat) && typ != '*':
			sp.spoil(i)
			continue
		}
		succeeded = i
		p.rest = body
		if sp.merge == mergeSum {
			sp.sum += n
		}
	}
	if sp.merge == mergeOne && succeeded >= 0 {
		sp.failed = -1
	}
}

// spoil puts an error in the place of a reply that makes no sense.
func (sp *split) spoil(i int) {
	p := &sp.parts[i]
	p.reply.Buf.Release()
	p.reply = sp.w.keep([]byte("-ERR samaritan: a node sent a reply that cannot be merged with the others\r\n"), nil)
	if sp.failed < 0 {
		sp.failed = i
	}
}

// emit appends the merged reply to the session's output.
func (sp *split) emit(s *session, parent *request) {
	if parent.has(reqMuted) || s.overflowed {
		return
	}
	before := s.conn.Pending()
	sp.write(s)
	s.weigh(s.conn.Pending() - before)
	if s.conn.Pending() > sessionOutput {
		s.crowded()
	}
}

func (sp *split) write(s *session) {
	if sp.failed >= 0 {
		s.conn.Append(sp.parts[sp.failed].reply.Bytes())
		return
	}
	switch sp.merge {
	case mergeMGet:
		sp.writeByKey(s)
	case mergeOK:
		s.conn.AppendString("+OK\r\n")
	case mergeSum:
		sp.w.tmp = resp.AppendInt(sp.w.tmp[:0], sp.sum)
		s.conn.Append(sp.w.tmp)
	case mergeAnd:
		sp.writeAnd(s)
	case mergeConcat:
		sp.writeConcat(s)
	default:
		s.conn.Append(sp.chosen())
	}
}

// writeByKey puts the elements together in the order of the keys.
func (sp *split) writeByKey(s *session) {
	sp.w.tmp = resp.AppendArrayHeader(sp.w.tmp[:0], len(sp.order))
	s.conn.Append(sp.w.tmp)
	for _, i := range sp.order {
		p := &sp.parts[i]
		if p.keys == 1 {
			sp.writeElement(s, p, p.rest)
			continue
		}
		elem, rest, _ := resp.Next(p.rest) // whole: the scanner has seen it
		p.rest = rest
		sp.writeElement(s, p, elem)
	}
}

// writeElement appends a piece of a part's reply, large ones by reference.
func (sp *split) writeElement(s *session, p *part, elem []byte) {
	if len(elem) < shareMin {
		s.conn.Append(elem)
		return
	}
	s.conn.AppendRef(p.reply.Sub(elem))
}

// writeConcat puts arrays one behind the other.
func (sp *split) writeConcat(s *session) {
	total := 0
	for i := range sp.parts {
		_, n, _, _ := resp.Header(sp.parts[i].reply.Bytes())
		total += int(max(n, 0))
	}
	sp.w.tmp = resp.AppendArrayHeader(sp.w.tmp[:0], total)
	s.conn.Append(sp.w.tmp)
	for i := range sp.parts {
		s.conn.Append(sp.parts[i].rest)
	}
}

// writeAnd combines arrays of 0 and 1 of the same length.
func (sp *split) writeAnd(s *session) {
	_, n, _, _ := resp.Header(sp.parts[0].reply.Bytes())
	out := resp.AppendArrayHeader(sp.w.tmp[:0], int(n))
	for range n {
		all := true
		for i := range sp.parts {
			p := &sp.parts[i]
			elem, rest, err := resp.Next(p.rest)
			p.rest = rest
			all = all && err == nil && bytes.HasPrefix(elem, []byte(":1"))
		}
		out = resp.AppendInt(out, int64(btoi(all)))
	}
	sp.w.tmp = out
	s.conn.Append(out)
}

// chosen is the one reply that stands for all.
func (sp *split) chosen() []byte {
	for i := range sp.parts {
		reply := sp.parts[i].reply.Bytes()
		typ, n, body, _ := resp.Header(reply)
		isError := typ == '-' || typ == '!'
		isNull := typ == '_' || (n == -1 && body == nil)
		if !isError && (sp.merge != mergeFound || !isNull) {
			return reply
		}
	}
	return sp.parts[0].reply.Bytes()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var splitMerge = [...]merge{
	command.SplitMGet: mergeMGet,
	command.SplitMSet: mergeOK,
	command.SplitSum:  mergeSum,
}
