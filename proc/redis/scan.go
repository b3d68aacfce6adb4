package redis

import (
	"hash/fnv"
	"strconv"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// SCAN walks the cluster range by range: a range is a run of slots with one owner,
// and the owner is scanned to its end once for each of its ranges. The cursor that a
// client sees holds all the state there is, so any proxy can go on with it:
//
//	bits  0-13  the first slot of the range
//	bits 14-27  a tag of the range's last slot and its owner
//	bits 28-62  the owner's own cursor
//
// If the tag does not fit any more, the range has changed hands or size in the
// middle, and its scan begins anew: a key that was there all along is never passed
// over, but it may come twice.
const (
	scanSlotBits   = 14
	scanTagBits    = 14
	scanCursorBits = 63 - scanSlotBits - scanTagBits
	maxNodeCursor  = 1<<scanCursorBits - 1
)

// scanPosition is where a page of SCAN belongs.
type scanPosition struct {
	first, last uint16 // the range
	tag         uint16
	filter      bool // the owner has other ranges too: drop their keys
}

// scan sends one page of SCAN to the node whose turn it is.
func (s *session) scan(info *command.Info, frame []byte, args []resp.Arg) bool {
	w := s.w
	cursor, err := strconv.ParseUint(string(argument(frame, args, 1)), 10, 64)
	if err != nil || cursor >= 1<<63 {
		s.refuse(info, "ERR invalid cursor")
		return true
	}
	if w.view == nil {
		s.refuse(info, w.noMap())
		return true
	}
	slots := w.view.slots
	pos, owner := rangeAt(slots, uint16(cursor&(cluster.Slots-1)))
	if owner < 0 {
		s.refuse(info, "CLUSTERDOWN Hash slot not served")
		return true
	}
	nodeCursor := cursor >> (scanSlotBits + scanTagBits)
	if nodeCursor != 0 && uint16(cursor>>scanSlotBits)&(1<<scanTagBits-1) != pos.tag {
		nodeCursor = 0
	}
	c := w.client(w.view.nodes[owner], s.state.Proto)
	if c.resting() {
		s.refuse(info, c.unreachable())
		return true
	}
	if c.full() {
		return s.waitFor(c)
	}
	r := w.newRequest(s, info, kindScan)
	r.scan = pos
	s.push(r)
	c.send(r, s.copyScan(c, frame, args, nodeCursor))
	return true
}

// copyScan stores the request with the node's cursor in place of the client's.
func (s *session) copyScan(c *client, frame []byte, args []resp.Arg, cursor uint64) eventloop.Ref {
	b := c.reserve(len(frame) + 64)
	off := len(b.B)
	b.B = resp.AppendArrayHeader(b.B, len(args))
	b.B = resp.AppendBulkString(b.B, "SCAN")
	var digits [20]byte
	b.B = resp.AppendBulk(b.B, strconv.AppendUint(digits[:0], cursor, 10))
	for i := 2; i < len(args); i++ {
		b.B = resp.AppendBulk(b.B, argument(frame, args, i))
	}
	b.Retain()
	return eventloop.Ref{Buf: b, Off: off, Len: len(b.B) - off}
}

// rangeAt finds the run of slots with one owner that begins at slot, or behind it
// when slot has no owner. The owner is -1 when there is none any more.
func rangeAt(m *cluster.Map, slot uint16) (pos scanPosition, owner int) {
	first := int(slot)
	for first < cluster.Slots && m.Master(uint16(first)) < 0 {
		first++
	}
	if first == cluster.Slots {
		return pos, -1
	}
	owner = m.Master(uint16(first))
	last := first
	for last+1 < cluster.Slots && m.Master(uint16(last+1)) == owner {
		last++
	}
	pos = scanPosition{first: uint16(first), last: uint16(last), tag: rangeTag(m.Nodes()[owner], last)}
	for i := 0; i < cluster.Slots && !pos.filter; i++ {
		if (i < first || i > last) && m.Master(uint16(i)) == owner {
			pos.filter = true
		}
	}
	return pos, owner
}

func rangeTag(n cluster.Node, last int) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.Addr))
	_, _ = h.Write([]byte{byte(last), byte(last >> 8)})
	sum := h.Sum32()
	return uint16((sum ^ sum>>16) & (1<<scanTagBits - 1))
}

// translateScan turns a node's page into one with a cursor of the whole cluster.
func (w *worker) translateScan(r *request, reply []byte, src *eventloop.Conn) ([]byte, *eventloop.Conn) {
	if reply[0] != '*' {
		return reply, src
	}
	_, n, body, err := resp.Header(reply)
	cursor, keys, err2 := resp.Next(body)
	_, _, digits, err3 := resp.Header(cursor)
	node, err4 := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || err2 != nil || err3 != nil || err4 != nil || n != 2 {
		r.flags |= reqFailed
		return resp.AppendError(w.tmp[:0], "ERR samaritan: a node sent a SCAN reply that makes no sense"), nil
	}
	if node > maxNodeCursor {
		r.flags |= reqFailed
		return resp.AppendError(w.tmp[:0], "ERR samaritan: a node's SCAN cursor is too large to be carried on: "+string(digits)), nil
	}
	out := append(w.tmp[:0], "*2\r\n"...)
	out = resp.AppendBulk(out, strconv.AppendUint(nil, r.scan.next(node), 10))
	if !r.scan.filter {
		return append(out, keys...), nil
	}
	return r.scan.appendOwn(out, keys), nil
}

// next is the cursor behind a page: further into the node, on to the next range, or 0
// at the end.
func (p scanPosition) next(node uint64) uint64 {
	if node != 0 {
		return node<<(scanSlotBits+scanTagBits) | uint64(p.tag)<<scanSlotBits | uint64(p.first)
	}
	if p.last == cluster.Slots-1 {
		return 0
	}
	return uint64(p.last) + 1
}

// appendOwn appends the array of those keys that are in the range.
func (p scanPosition) appendOwn(dst, keys []byte) []byte {
	_, n, body, err := resp.Header(keys)
	if err != nil {
		return resp.AppendArrayHeader(dst, 0)
	}
	own := 0
	for rest, i := body, int64(0); i < n; i++ {
		var elem []byte
		elem, rest, _ = resp.Next(rest)
		own += btoi(p.holds(elem))
	}
	dst = resp.AppendArrayHeader(dst, own)
	for i := int64(0); i < n; i++ {
		var elem []byte
		if elem, body, _ = resp.Next(body); p.holds(elem) {
			dst = append(dst, elem...)
		}
	}
	return dst
}

func (p scanPosition) holds(elem []byte) bool {
	_, _, key, err := resp.Header(elem)
	if err != nil {
		return false
	}
	slot := cluster.Slot(key)
	return slot >= p.first && slot <= p.last
}
