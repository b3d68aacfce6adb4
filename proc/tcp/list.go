package tcp

// list has connections in the order of the time at which they were put in, oldest
// first: the one at the front is the next to run into a timeout that all of them share.
// A connection is in one list at most.
type list struct {
	front, back *conn
}

// push puts c at the end, with the time now.
func (l *list) push(c *conn, now int64) {
	c.in, c.since = l, now
	c.prev, c.next = l.back, nil
	if l.back != nil {
		l.back.next = c
	} else {
		l.front = c
	}
	l.back = c
}

// leave takes the connection out of its list.
func (c *conn) leave() {
	l := c.in
	if l == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.front = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.back = c.prev
	}
	c.in, c.prev, c.next = nil, nil, nil
}

// touch notes that something moved.
func (c *conn) touch(now int64) {
	l := c.in
	if c.since == now || l.back == c {
		c.since = now
		return
	}
	c.leave()
	l.push(c, now)
}
