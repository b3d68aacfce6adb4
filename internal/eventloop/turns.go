package eventloop

const (
	// largeFrame is the size from which on a frame is read in turns.
	largeFrame = 1 << maxBufClass
	// largeOutput is how much output has to wait for it to be written in turns.
	largeOutput = scratchSize
	// turnBytes is the most that one large transfer moves in one iteration. A turn
	// takes some 30 µs, and the next one costs a microsecond more.
	turnBytes = 64 << 10
	// turnsBytes is the most that all large transfers read, and that they write, in
	// one iteration, so that its length does not depend on how many there are.
	turnsBytes = 4 * turnBytes
)

// turns are connections in line for their part of an iteration, first come, first
// served. A connection is in one of them once at most.
type turns struct {
	line []*Conn
	head int
}

func (t *turns) len() int { return len(t.line) - t.head }

func (t *turns) push(c *Conn) { t.line = append(t.line, c) }

func (t *turns) pop() *Conn {
	c := t.line[t.head]
	t.line[t.head] = nil
	t.head++
	switch {
	case t.head == len(t.line):
		t.line, t.head = t.line[:0], 0
	case t.head >= 64 && t.head*2 >= len(t.line):
		n := copy(t.line, t.line[t.head:])
		clear(t.line[n:])
		t.line, t.head = t.line[:n], 0
	}
	return c
}

// transfer gives large transfers their turns, those that have waited longest first.
// What remains goes on in the next iteration, behind everything small.
func (l *Loop) transfer() {
	for n, left := l.readers.len(), turnsBytes; n > 0 && left > 0; n-- {
		left -= l.readers.pop().readTurn()
	}
	for n, left := l.writers.len(), turnsBytes; n > 0 && left > 0; n-- {
		left -= l.writers.pop().writeTurn()
	}
}

// unfinished tells whether there is work that no event will tell of.
func (l *Loop) unfinished() bool {
	return l.readers.len()+l.writers.len() > 0 || l.surplus()
}

// awaitRead puts the connection in line for reading.
func (c *Conn) awaitRead() {
	if c.flags&flagReader == 0 {
		c.flags |= flagReader
		c.loop.readers.push(c)
	}
}

// awaitWrite puts the connection in line for writing.
func (c *Conn) awaitWrite() {
	if c.flags&flagWriter == 0 {
		c.flags |= flagWriter
		c.loop.writers.push(c)
	}
}

// readTurn reads once and returns how many bytes came.
func (c *Conn) readTurn() int {
	c.flags &^= flagReader
	switch {
	case c.flags&(flagClosed|flagPaused|flagEOF|flagFrozen) != 0:
		return 0
	case c.flags&flagFed != 0:
		return c.feed(turnBytes)
	}
	return c.read(turnBytes)
}

// writeTurn writes the connection's part and returns how many bytes that were.
func (c *Conn) writeTurn() int {
	c.flags &^= flagWriter
	if c.flags&(flagClosed|flagFrozen) != 0 {
		return 0
	}
	n := c.write(turnBytes)
	c.flushed()
	return n
}

// write offers output to the socket as long as it takes all, and returns how much it
// took: limit bytes at most.
func (c *Conn) write(limit int) int {
	left := limit
	for c.out.pending > 0 && left > 0 && c.flags&(flagShort|flagClosed) == 0 {
		left -= c.writeOnce(left)
	}
	return limit - left
}
