package redis

import (
	"errors"
	"strconv"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// SCAN walks the cluster range by range: a range is a run of slots with one owner,
// and the owner is scanned to its end once for each of its ranges. The cursor that a
// client sees holds what there is of state, so any proxy can go on with it:
//
//	bits  0-13  the first slot of the range
//	bits 14-27  a tag of the range's last slot and of what the node's cursor depends on
//	bit  28     set while the importing node of a migrating slot is scanned
//	bits 29-62  the node's own cursor
//
// No key that was there all along is passed over, though it may come twice:
//
//   - A node's own cursor means nothing to another process, be it the same node
//     started again. So the tag holds the run_id of the process that gave it. If the tag
//     does not fit, the node is asked who it is and what it sees (scan_state.go); if it
//     does not fit then either, the scan of the range begins anew.
//   - When a range is scanned to its end, its owner is asked what it still owns
//     (scan_check.go). The walk goes on at the first slot of the range that it does
//     not own any more.
//   - A slot may have left and come back in the meantime. The owner has got a new
//     config epoch then, which is in the tag too, and the range begins anew.
//   - While a slot migrates its keys are at two nodes, and only go from the owner to
//     the importing node. So the importing node is scanned for that slot, after the
//     owner.
const (
	scanSlotBits  = 14
	scanTagBits   = 14
	scanImportBit = 1 << (scanSlotBits + scanTagBits)
	scanShift     = scanSlotBits + scanTagBits + 1
	maxNodeCursor = 1<<(63-scanShift) - 1
	scanBegin     = 1 << scanSlotBits // makes the cursor of a range's beginning differ from 0
)

// scanPosition is where a page of SCAN belongs.
type scanPosition struct {
	first, last uint16 // the range
	tag         uint16 // of the cursors that the node gives, 0 while not known
	filter      bool   // the node has other keys too: drop them
	importing   bool   // the node imports the range, which is one slot
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
	pos, n := w.scanTarget(cursor, s.lane())
	if n == nil {
		w.stats.upstream.uncovered++
		w.proc.topology.trigger(causeUncovered, "")
		s.refuse(info, "CLUSTERDOWN Hash slot not served")
		return true
	}
	c := w.client(n, s.lane())
	if c.resting() {
		s.refuse(info, c.refuse())
		return true
	}
	if c.full() {
		return s.waitFor(c)
	}
	r := w.newRequest(s, info, kindScan)
	r.scan = pos
	s.push(r)
	switch {
	case pos.tag != 0:
		c.send(r, c.copyScan(frame, args, cursor>>scanShift))
	case pos.importing:
		r.reply = w.keep(frame, nil)
		r.kind = kindScanOwner
		c.send(r, c.copyIn(clusterNodesFrame))
	default:
		r.reply = w.keep(frame, nil)
		w.askScanState(c, r)
	}
	return true
}

// scanTarget finds the range of a cursor and the node to ask, nil when its slot has
// no owner. The tag is 0 unless it is known to be the cursor's: then the
// node has to be asked first, and for an importing one its owner.
func (w *worker) scanTarget(cursor uint64, l lane) (scanPosition, *node) {
	slot := uint16(cursor & (cluster.Slots - 1))
	pos, owner := rangeAt(w.view.slots, slot)
	if owner < 0 {
		return pos, nil
	}
	n := w.view.nodes[owner]
	if cursor&scanImportBit == 0 {
		if p, ok := w.client(n, l).position(pos.first); ok {
			pos = p
			w.client(n, l).fits(&pos, cursor)
		}
		return pos, n
	}
	pos = scanPosition{first: slot, last: slot, filter: true, importing: true}
	if addr, ok := w.imports[slot]; ok && w.client(w.nodeAt(addr), l).fits(&pos, cursor) {
		return pos, w.nodeAt(addr)
	}
	return pos, n
}

// fits tells whether a cursor was made in the state that is known of the node, and then
// sets the tag.
func (c *client) fits(p *scanPosition, cursor uint64) bool {
	if !c.scanKnown() || c.scanned.tag(*p) != cursorTag(cursor) {
		return false
	}
	p.tag = cursorTag(cursor)
	return true
}

// copyScan stores the request with the node's cursor in place of the client's.
func (c *client) copyScan(frame []byte, args []resp.Arg, cursor uint64) eventloop.Ref {
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

// rangeAt finds the run of slots with one owner that begins at slot. The owner is -1
// when there is none: what is in such a slot cannot be known, so a walk stops there.
func rangeAt(m *cluster.Map, slot uint16) (pos scanPosition, owner int) {
	first := int(slot)
	if owner = m.Master(slot); owner < 0 {
		return pos, -1
	}
	last := first
	for last+1 < cluster.Slots && m.Master(uint16(last+1)) == owner {
		last++
	}
	pos = scanPosition{first: uint16(first), last: uint16(last)}
	for i := 0; i < cluster.Slots && !pos.filter; i++ {
		if (i < first || i > last) && m.Master(uint16(i)) == owner {
			pos.filter = true
		}
	}
	return pos, owner
}

// scanPage takes a node's page. Behind the last page of a range the node is asked
// what it still owns; otherwise the page is the reply, with a cursor of ours.
func (w *worker) scanPage(c *client, r *request, reply []byte) {
	node, keys, err := cutPage(reply)
	switch {
	case reply[0] == '-':
		w.finish(r, reply, nil)
	case err != nil:
		w.fail(r, "ERR samaritan: node "+c.node.addr+" sent a SCAN reply that makes no sense: "+err.Error())
	case node == 0:
		w.checkRange(c, r, keys)
	default:
		tag := uint64(r.scan.tag)<<scanSlotBits | uint64(r.scan.first)
		if r.scan.importing {
			tag |= scanImportBit
		}
		w.finishScan(r, node<<scanShift|tag, keys)
	}
}

// cutPage takes a SCAN reply apart into the node's cursor and the array of keys.
func cutPage(reply []byte) (cursor uint64, keys []byte, err error) {
	typ, n, body, err := resp.Header(reply)
	if err != nil {
		return 0, nil, err
	}
	if typ != '*' || n != 2 {
		return 0, nil, errors.New("not an array of two")
	}
	first, keys, err := resp.Next(body)
	if err != nil {
		return 0, nil, err
	}
	_, _, digits, err := resp.Header(first)
	if err != nil {
		return 0, nil, err
	}
	cursor, err = strconv.ParseUint(string(digits), 10, 64)
	if err == nil && cursor > maxNodeCursor {
		err = errors.New("its cursor " + string(digits) + " is too large to be carried on")
	}
	return cursor, keys, err
}

// finishScan answers with one page: the cursor and those of the keys that count.
func (w *worker) finishScan(r *request, cursor uint64, keys []byte) {
	out := append(w.tmp[:0], "*2\r\n"...)
	out = resp.AppendBulk(out, strconv.AppendUint(nil, cursor, 10))
	if r.scan.filter {
		out = r.scan.appendOwn(out, keys)
	} else {
		out = append(out, keys...)
	}
	w.finish(r, out, nil)
	if cap(out) <= shareMin {
		w.tmp = out[:0]
	}
}

// after is the cursor at which the walk goes on behind slot, 0 at the end.
func (p scanPosition) after(slot uint16) uint64 {
	if slot == cluster.Slots-1 {
		return 0
	}
	return uint64(slot+1) | scanBegin
}

// again is the cursor at which the walk goes on when the range is to be walked anew.
func (p scanPosition) again() uint64 { return uint64(p.first) | scanBegin }

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
