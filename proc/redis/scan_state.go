package redis

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/resp"
)

// scanState is what a node's cursor depends on beside the keys themselves. It is known
// for one connection only, as behind the next one there may be another process.
type scanState struct {
	conn   *eventloop.Conn // the connection that it was asked over
	run    uint64          // hash of the process's run_id: the order of a scan is random in each process
	known  bool            // the node was asked for the following
	told   bool            // and did tell
	epoch  uint64          // its own config epoch, higher each time that it takes over a slot again
	newest uint64          // the highest config epoch that it knows
	owned  []cluster.Range // the slots that it owns, in ascending order
}

var infoServerFrame = []byte("*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n")

// position is the range at a slot as the node itself sees it, false when it owns no
// such slot or was not asked yet. Maps of several proxies may differ for a while, and
// cursors made by one of them would be no good for the others. Only if the node does
// not tell, the range is that of this proxy's map.
func (c *client) position(slot uint16) (p scanPosition, ok bool) {
	st := &c.scanned
	if !c.scanKnown() {
		return p, false
	}
	if !st.told {
		p, _ = rangeAt(c.w.view.slots, slot)
		return p, true
	}
	for _, r := range st.owned {
		if slot >= r.First && slot <= r.Last {
			return scanPosition{first: slot, last: r.Last, filter: slot > r.First || len(st.owned) > 1}, true
		}
	}
	return p, false
}

// scanKnown tells whether the process at the other end was asked for its state.
func (c *client) scanKnown() bool {
	return c.conn != nil && c.scanned.conn == c.conn && c.scanned.known
}

// tag is the tag of a range's cursors in this state. It is neither 0 nor the tag of a
// range's beginning.
//
// The owner's epoch is part of it as a slot may leave the owner in the middle of its
// scan and come back before the end. The importing node gets no new epoch when that
// happens to it, but then another node does.
func (st *scanState) tag(p scanPosition) uint16 {
	epoch, walk := st.epoch, byte(0)
	if p.importing {
		epoch, walk = st.newest, 1
	}
	var b [19]byte
	binary.LittleEndian.PutUint64(b[0:], st.run)
	binary.LittleEndian.PutUint64(b[8:], epoch)
	binary.LittleEndian.PutUint16(b[16:], p.last)
	b[18] = walk
	const reserved = 2
	return uint16(hash64(b[:])%(1<<scanTagBits-reserved)) + reserved
}

func hash64(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	sum := h.Sum64()
	return sum ^ sum>>32
}

// askScanState keeps the client's frame, which is in r.reply, until the node has told
// which process it is and what it sees of the cluster.
func (w *worker) askScanState(c *client, r *request) {
	r.dropFrame()
	if c.conn != nil && c.scanned.conn == c.conn {
		r.kind = kindScanState
		c.send(r, c.copyIn(clusterNodesFrame))
		return
	}
	r.kind = kindScanRun
	c.send(r, c.copyIn(infoServerFrame))
}

// scanRunKnown takes the reply to INFO. A node that does not tell is known by its
// address: then its restart goes unnoticed.
func (w *worker) scanRunKnown(c *client, r *request, reply []byte) {
	id := []byte(c.node.addr)
	if _, rest, ok := bytes.Cut(reply, []byte("\nrun_id:")); ok && reply[0] != '-' {
		id, _, _ = bytes.Cut(rest, []byte("\r\n"))
	}
	c.scanned = scanState{conn: c.conn, run: hash64(id)}
	w.askScanState(c, r)
}

// scanStateKnown takes the reply to CLUSTER NODES and sends the page that waited for it.
func (w *worker) scanStateKnown(c *client, r *request, reply []byte) {
	nodes := parseScanNodes(reply, c.node.addr)
	c.scanned.learn(nodes)
	if !r.scan.importing {
		p, ok := c.position(r.scan.first)
		if !ok {
			w.scanElsewhere(c, r, nodes)
			return
		}
		r.scan = p
	}
	r.scan.tag = c.scanned.tag(r.scan)
	frame := r.reply
	r.reply = eventloop.Ref{}
	defer frame.Buf.Release()
	var p resp.Parser // not the worker's: this is rare
	if _, err := p.Parse(frame.Bytes()); err != nil {
		w.fail(r, "ERR "+err.Error())
		return
	}
	r.kind = kindScan
	r.dropFrame()
	b := p.Frame(frame.Bytes())
	cursor, _ := strconv.ParseUint(string(argument(b, p.Args, 1)), 10, 64)
	c.send(r, c.copyScan(b, p.Args, nodeCursor(cursor, r.scan.tag)))
}

// scanElsewhere asks the owner of the range's first slot, which is another node than the
// slot map has.
func (w *worker) scanElsewhere(c *client, r *request, nodes scanNodes) {
	w.proc.topology.trigger(causeMoved, c.node.addr)
	i := -1
	if nodes.told() {
		i = nodes.all.Master(r.scan.first)
	}
	if i < 0 || r.hops >= maxHops {
		w.fail(r, "CLUSTERDOWN Hash slot not served")
		return
	}
	r.hops++
	w.askScanOf(nodes.all.Nodes()[i].Addr, c.lane, r)
}

// askScanOf sends the question for another node's state.
func (w *worker) askScanOf(addr string, l lane, r *request) {
	c := w.client(w.nodeAt(addr), l)
	if c.resting() {
		w.fail(r, c.refuse())
		return
	}
	w.askScanState(c, r)
}

// nodeCursor is the node's part of a cursor, 0 when it was made under another tag.
func nodeCursor(cursor uint64, tag uint16) uint64 {
	if cursorTag(cursor) != tag {
		return 0
	}
	return cursor >> scanShift
}

func cursorTag(cursor uint64) uint16 { return uint16(cursor>>scanSlotBits) & (1<<scanTagBits - 1) }

// scanOwnerTold takes the owner's reply to CLUSTER NODES when a page belongs to the
// importing node of a slot. If it is not migrating any more the walk goes on there
// with the owner.
func (w *worker) scanOwnerTold(c *client, r *request, reply []byte) {
	slot := r.scan.first
	nodes := parseScanNodes(reply, c.node.addr)
	_, to := nodes.firstMigrating(int(slot), int(slot)+1)
	if to == "" {
		delete(w.imports, slot)
		w.finishScan(r, r.scan.again(), emptyArray)
		return
	}
	w.setImport(slot, to)
	w.askScanOf(to, c.lane, r)
}

var emptyArray = []byte("*0\r\n")

func (w *worker) setImport(slot uint16, addr string) {
	if w.imports == nil {
		w.imports = make(map[uint16]string)
	}
	w.imports[slot] = addr
}

// scanNodes is a reply to CLUSTER NODES: the map made of it, and the line that the node
// writes about itself. The node is known by its id, as it may be listed under another
// address than it was reached at.
type scanNodes struct {
	all  *cluster.Map
	me   []string // the words of its line, none when the reply makes no sense
	self int      // its index in the map
}

func parseScanNodes(reply []byte, addr string) scanNodes {
	m, err := cluster.ParseNodes(reply, addr)
	if err != nil {
		return scanNodes{}
	}
	_, _, text, _ := resp.Header(reply)
	n := scanNodes{all: m, me: ownLine(bytes.TrimPrefix(text, []byte("txt:")))} // RESP3 sends it as a verbatim string
	if len(n.me) > 0 {
		n.self = slices.IndexFunc(m.Nodes(), func(other cluster.Node) bool { return other.ID == n.me[0] })
	}
	if len(n.me) == 0 || n.self < 0 {
		return scanNodes{}
	}
	return n
}

// told tells whether the reply made sense.
func (n scanNodes) told() bool { return len(n.me) > 0 }

func (n scanNodes) owns(slot int) bool { return n.all.Master(uint16(slot)) == n.self }

// learn takes over what a node told, if it did.
func (st *scanState) learn(n scanNodes) {
	*st = scanState{conn: st.conn, run: st.run, known: true, told: n.told()}
	if n.told() {
		st.epoch, st.newest = n.all.Nodes()[n.self].Epoch, n.all.Epoch()
		st.owned = n.all.Ranges(n.self)
	}
}

// firstMigrating finds the lowest slot in [from, end) that the node is migrating away,
// and where to, "" for none. A node lists such slots at the end of its own line, as
// [slot->-id of the importing node].
func (n scanNodes) firstMigrating(from, end int) (slot uint16, to string) {
	for _, word := range n.me {
		digits, id, ok := strings.Cut(strings.Trim(word, "[]"), "->-")
		i, err := strconv.Atoi(digits)
		if !ok || err != nil || i < from || i >= end || (to != "" && i >= int(slot)) {
			continue
		}
		if addr := n.addrOf(id); addr != "" {
			slot, to = uint16(i), addr
		}
	}
	return slot, to
}

// imports tells whether the node is importing a slot, which it lists as
// [slot-<-id of the owner].
func (n scanNodes) imports(slot uint16) bool {
	prefix := "[" + strconv.Itoa(int(slot)) + "-<-"
	for _, word := range n.me {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return false
}

func (n scanNodes) addrOf(id string) string {
	for _, node := range n.all.Nodes() {
		if node.ID == id {
			return node.Addr
		}
	}
	return ""
}
