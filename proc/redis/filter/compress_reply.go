package filter

import (
	"bytes"
	"errors"
	"fmt"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

func (c *Compress) wantsReply(info *command.Info, _ *Note, reply []byte) bool {
	return rules[info.ID].reads && mayHaveStored(reply)
}

// reply decompresses the values in a reply.
func (c *Compress) reply(r *Reply) Verdict {
	if r.Unread || r.found == nil && !c.wantsReply(r.Info, r.Note, r.Bytes) {
		return Pass
	}
	before := r.found != nil // then it counts already
	if !c.look(r) {
		return Later
	}
	work, room := c.work, c.room
	c.report(r, &c.coder)
	switch {
	case len(c.pieces) == 0:
		return Pass
	case room > resp.MaxFrame-r.Beside:
		return c.refuse(r)
	case work >= laterFrom || r.Crowded:
		if !before {
			c.coder.stats.Offloaded++
		}
		r.Work = &decompressWork{
			filter: c, reply: *r, coder: coder{set: &c.set, stats: new(CompressStats)}, cost: work,
			pieces: c.keepPieces(), room: room,
		}
		return Later
	}
	b := c.loop.NewBuf(room)
	b.B = c.coder.decompress(b.B, r.Bytes, c.pieces)
	c.report(r, &c.coder)
	release(r.Memory)
	r.Bytes, r.Memory = b.B, b
	return Changed
}

// mayHaveStored is a quick look for stored values: false means that there are none.
func mayHaveStored(b []byte) bool {
	switch b[0] {
	case '$':
		i := 1
		for b[i] != '\n' {
			i++
		}
		_, ok := compress.Detect(b[i+1:])
		return ok
	case '*', '%', '~', '|', '>':
		return hasMark(b)
	}
	return false
}

// header begins every stored value, and mark is it behind the header of a bulk string.
const (
	header = "(P$"
	mark   = "\n" + header
)

const (
	// maxFalseMarks is how many brackets are looked at one by one.
	maxFalseMarks = 64
	// maxSearched is how many bytes are searched for all of the mark; some 0.3 ms.
	maxSearched = 1 << 20
)

// hasMark looks for '(' first and not for all of the mark: text has few of them, and so it takes a quarter of the time.
// Many bytes with many of them have to be read properly.
func hasMark(b []byte) bool {
	for range maxFalseMarks {
		i := bytes.IndexByte(b, mark[1])
		if i < 0 {
			return false
		}
		if i > 0 && len(b)-i >= len(mark)-1 && string(b[i-1:i-1+len(mark)]) == mark {
			return true
		}
		b = b[i+1:]
	}
	return len(b) > maxSearched || bytes.Contains(b, []byte(mark))
}

// errReplyTooLarge is why a value of a reply with very large ones is not decompressed.
var errReplyTooLarge = fmt.Errorf("%w: the reply would have more than 1 GiB", compress.ErrTooLarge)

// refuse answers a request that only reads and has got too much.
func (c *Compress) refuse(r *Reply) Verdict {
	c.coder.stats.TooLarge++
	b := c.loop.NewBuf(1 << 10)
	b.B = resp.AppendError(b.B, "ERR samaritan: the values of the reply have more than 1 GiB when they are decompressed; ask for fewer at a time")
	release(r.Memory)
	r.Bytes, r.Memory = b.B, b
	return Changed
}

// decompress appends the reply to dst with the pieces decompressed. One that turns out to be corrupt stays as it is.
func (c *coder) decompress(dst, reply []byte, pieces []piece) []byte {
	taken := 0
	for _, p := range pieces {
		dst = append(dst, reply[taken:p.head]...)
		taken = p.end
		stored := reply[p.value : p.end-len("\r\n")]
		mark := len(dst)
		dst = resp.AppendBulkHeader(dst, p.length)
		var err error
		if dst, err = c.AppendDecoded(dst, stored, p.length); err != nil {
			c.isBroken(err)
			dst = append(dst[:mark], reply[p.head:p.end]...)
			continue
		}
		dst = append(dst, "\r\n"...)
		algorithm, _ := compress.Detect(stored)
		n := &c.stats.Decompressed[algorithm]
		n.Values++
		n.Before += uint64(len(stored))
		n.After += uint64(p.length)
	}
	return append(dst, reply[taken:]...)
}

// decompressWork is the decompression of a large reply.
type decompressWork struct {
	filter *Compress
	reply  Reply // as it came; its bytes may have moved
	coder  coder
	cost   int
	pieces []piece
	room   int
	out    *eventloop.Buf // nil until it begins
	done   bool
}

// Room implements ReplyWork.
func (w *decompressWork) Room() int { return w.room }

// Begin implements ReplyWork.
func (w *decompressWork) Begin() { w.out = w.filter.loop.NewBuf(w.room) }

// Long implements Work.
func (w *decompressWork) Long() bool { return w.cost >= longFrom }

// Do implements Work.
func (w *decompressWork) Do(reply []byte) {
	w.coder.Codec = w.filter.codecs.Get().(*compress.Codec)
	defer w.filter.codecs.Put(w.coder.Codec)
	w.out.B = w.coder.decompress(w.out.B, reply, w.pieces)
	w.done = true
}

// Finish implements Work.
func (w *decompressWork) Finish() (*eventloop.Buf, []resp.Arg) {
	if !w.done {
		release(w.out)
		return nil, nil
	}
	w.filter.coder.stats.Add(w.coder.stats)
	w.filter.report(&w.reply, &w.coder)
	return w.out, nil
}

// isBroken counts a stored value that cannot be decompressed.
func (c *coder) isBroken(err error) {
	c.err = err
	if errors.Is(err, compress.ErrTooLarge) {
		c.stats.TooLarge++
	} else {
		c.stats.Corrupt++
	}
}

// report tells of a value that could not be decompressed.
func (c *Compress) report(r *Reply, by *coder) {
	if by.err != nil {
		c.broken(r, by.err)
		by.err = nil
	}
}
