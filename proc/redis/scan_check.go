package redis

import (
	"bytes"
	"slices"
	"strings"

	"samaritan/internal/eventloop"
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
	nodes := parseScanNodes(reply, c.node.addr)
	next := r.scan.after(r.scan.last)
	if nodes.told() {
		c.scanned.learn(nodes)
		next = w.nextRange(c, r.scan, nodes)
	}
	w.finishScan(r, next, page.Bytes())
	page.Buf.Release()
}

// nextRange is the cursor behind a range, as the node that was scanned for it tells.
func (w *worker) nextRange(c *client, p scanPosition, nodes scanNodes) uint64 {
	if c.scanned.tag(p) != p.tag {
		return p.again() // a slot may have left and come back meanwhile
	}
	if p.importing {
		delete(w.imports, p.first)
		if !nodes.imports(p.first) {
			return p.again() // it is the owner now, or was and has lost the slot again
		}
		return p.after(p.first)
	}
	end := int(p.first) // behind the last slot that is covered
	for end <= int(p.last) && nodes.owns(end) {
		end++
	}
	if slot, to := nodes.firstMigrating(int(p.first), end); to != "" {
		return uint64(slot) | scanImportBit | scanBegin
	}
	if end <= int(p.last) {
		w.proc.topology.trigger(causeMoved, c.node.addr)
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
