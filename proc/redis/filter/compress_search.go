package filter

import (
	"math"
	"slices"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// piece is a stored value in a reply that is to be decompressed.
type piece struct {
	head, end int // from its header to behind its CRLF
	value     int // where the stored form begins
	length    int // of what it decompresses to
}

// search is a look for the stored values of a reply. It can be broken off and gone on with.
type search struct {
	off     int     // up to where the reply has been looked at
	strings int     // how many there are up to there
	pieces  []piece // what can be decompressed
	work    int     // how much that is, as in laterFrom
	room    int     // how many bytes the reply may have then
}

// What it costs to look, as in laterFrom.
const (
	stringCost = 16  // of each string
	otherCost  = 4   // of each byte of other elements, and of chunks that do not make a value shorter
	headerCost = 128 // of each value that begins like the stored form
	chunkShare = 2   // bytes of these that cost one, should their chunks be as short as can be
)

// look finds what is to be decompressed. When that takes too long for the loop it reports false: the work goes
// on with it, and the filter is called with the reply once more.
func (c *Compress) look(r *Reply) bool {
	if r.found != nil {
		c.search, r.found = *r.found, nil
		return true
	}
	if cap(c.pieces) > keepScratch {
		c.pieces = nil
	}
	c.search = search{pieces: c.pieces[:0], work: len(r.Bytes) / copyShare, room: len(r.Bytes)}
	if c.coder.find(&c.search, r, r.Bytes, laterFrom) {
		return true
	}
	c.coder.stats.Offloaded++
	w := &searchWork{filter: c, reply: *r, coder: coder{set: &c.set, stats: new(CompressStats), err: c.coder.err}, found: c.search}
	w.found.pieces = c.keepPieces()
	c.coder.err = nil
	r.Work = w
	return false
}

// keepPieces returns the pieces for work that needs them longer than until the next reply.
func (c *Compress) keepPieces() []piece {
	if len(c.pieces) <= keepScratch {
		return slices.Clone(c.pieces)
	}
	pieces := c.pieces
	c.pieces = nil
	return pieces
}

// find goes on with a search until it has come to the end, which it reports, or has taken most. reply is the bytes of r
// where they are now. When a command has changed what it returns, an error would lose it: so of that as much is
// decompressed as has room.
func (c *coder) find(s *search, r *Reply, reply []byte, most int) (all bool) {
	partly := !r.Info.Flags.Has(command.ReadOnly)
	names := rules[r.Info.ID].names
	for most > 0 {
		head, payload, end := resp.NextString(reply[s.off:], most/otherCost)
		if end == 0 {
			s.off += head
			break
		}
		most -= head*otherCost + stringCost
		name := names > 0 && (s.strings+names)%2 == 1 // it stays as it is, as it is what the field is asked for with
		if _, ok := compress.Detect(payload); ok && !name {
			if most -= headerCost + len(payload)/chunkShare; most < 0 {
				break
			}
			n, err := compress.DecodedLen(payload, c.set.Limits)
			more := max(0, longestHeader+n+len("\r\n")-(end-head)) // broken ones stay as long as they are
			switch {
			case err != nil:
				c.isBroken(err)
			case partly && s.room+more > resp.MaxFrame:
				c.isBroken(errReplyTooLarge)
			default:
				value := s.off + end - len("\r\n") - len(payload)
				s.pieces = append(s.pieces, piece{head: s.off + head, end: s.off + end, value: value, length: n})
				s.work += n + len(payload)/copyShare + valueCost
				if len(payload) > n { // there may be a chunk for every byte
					s.work += len(payload) * otherCost
				}
				s.room += more
			}
		}
		s.off += end
		s.strings++
	}
	return s.off == len(reply)
}

// searchWork is the rest of a search in a large reply.
type searchWork struct {
	filter *Compress
	reply  Reply // as it came; its bytes may have moved
	coder  coder
	found  search
	done   bool
}

// Room implements ReplyWork.
func (w *searchWork) Room() int { return 0 }

// Begin implements ReplyWork.
func (w *searchWork) Begin() {}

// Long implements Work.
func (w *searchWork) Long() bool { return len(w.reply.Bytes)*otherCost >= longFrom }

// Do implements Work.
func (w *searchWork) Do(reply []byte) {
	w.coder.find(&w.found, &w.reply, reply, math.MaxInt)
	w.done = true
}

// Finish implements Work.
func (w *searchWork) Finish() (*eventloop.Buf, []resp.Arg) {
	if w.done {
		w.filter.coder.stats.Add(w.coder.stats)
	}
	w.filter.report(&w.reply, &w.coder)
	return nil, nil
}
