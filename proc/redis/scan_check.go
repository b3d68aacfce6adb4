package redis

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/resp"
)

var clusterNodesFrame = []byte("*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n")

// checkRange asks the node that has just been scanned to its end what it owns, and
// keeps the page until the answer is there.
func (w *worker) checkRange(c *client, r *request, keys []byte) {
	r.kind = kindScanCheck
	r.reply = w.keep(keys, nil)
	r.dropFrame()
	c.send(r, c.copyIn(clusterNodesFrame))
}

// rangeChecked goes on behind what the node still owns of its range. If it does not
// tell, the range counts as it was.
func (w *worker) rangeChecked(c *client, r *request, reply []byte) {
	page := r.reply
	r.reply = eventloop.Ref{}
	next := r.scan.after(r.scan.last)
	_, _, text, _ := resp.Header(reply)
	text = bytes.TrimPrefix(text, []byte("txt:")) // RESP3 sends it as a verbatim string
	if m, err := cluster.ParseNodes(reply, c.node.addr); err == nil {
		next = w.nextRange(r.scan, m, text)
	}
	w.finishScan(r, next, page.Bytes())
	page.Buf.Release()
}

// nextRange is the cursor behind a range, as the node that was scanned for it tells
// in CLUSTER NODES: text, and m made of it. The node is known by its id, as it may
// be listed under another address than it was reached at.
func (w *worker) nextRange(p scanPosition, m *cluster.Map, text []byte) uint64 {
	me := ownLine(text)
	if len(me) == 0 {
		return p.after(p.last)
	}
	end := int(p.first) // behind the last slot that is covered
	for end <= int(p.last) {
		if i := m.Master(uint16(end)); i < 0 || m.Nodes()[i].ID != me[0] {
			break
		}
		end++
	}
	if slot, to := firstMigrating(me, m, int(p.first), end); to != "" {
		if w.imports == nil {
			w.imports = make(map[uint16]string)
		}
		w.imports[slot] = to
		return uint64(slot) | scanImportBit | scanBegin
	}
	if end <= int(p.last) {
		w.proc.topology.trigger(causeMoved)
		return uint64(end) | scanBegin
	}
	return p.after(p.last)
}

// ownLine is the words of the line that a node writes about itself.
func ownLine(text []byte) []string {
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		if len(words) > 2 && slices.Contains(strings.Split(words[2], ","), "myself") {
			return words
		}
	}
	return nil
}

// firstMigrating finds the lowest slot in [from, end) that a node is migrating away,
// and where to. A node lists such slots at the end of its own line, as [slot->-id of
// the importing node].
func firstMigrating(line []string, m *cluster.Map, from, end int) (slot uint16, to string) {
	for _, word := range line {
		digits, id, ok := strings.Cut(strings.Trim(word, "[]"), "->-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < from || n >= end || (to != "" && n >= int(slot)) {
			continue
		}
		if addr := addrOf(m, id); addr != "" {
			slot, to = uint16(n), addr
		}
	}
	return slot, to
}

func addrOf(m *cluster.Map, id string) string {
	for _, n := range m.Nodes() {
		if n.ID == id {
			return n.Addr
		}
	}
	return ""
}
