package redis

// fifo is a queue of requests in a ring that grows as needed.
type fifo struct {
	ring []*request // its length is a power of two
	head uint32     // index of the first, counted up for ever
	tail uint32     // index behind the last
}

func (f *fifo) len() int { return int(f.tail - f.head) }

// at returns the i-th request from the front.
func (f *fifo) at(i int) *request {
	return f.ring[(f.head+uint32(i))&uint32(len(f.ring)-1)]
}

// set replaces the i-th request from the front.
func (f *fifo) set(i int, r *request) { f.ring[(f.head+uint32(i))&uint32(len(f.ring)-1)] = r }

func (f *fifo) push(r *request) {
	if f.len() == len(f.ring) {
		f.grow()
	}
	f.ring[f.tail&uint32(len(f.ring)-1)] = r
	f.tail++
}

// pop takes the first request, nil when there is none.
func (f *fifo) pop() *request {
	if f.head == f.tail {
		return nil
	}
	p := &f.ring[f.head&uint32(len(f.ring)-1)]
	r := *p
	*p = nil
	f.head++
	return r
}

func (f *fifo) grow() {
	ring := make([]*request, max(2*len(f.ring), 64))
	for i := range f.len() {
		ring[i] = f.at(i)
	}
	f.tail = uint32(f.len())
	f.head = 0
	f.ring = ring
}

// take empties the queue and returns what was in it, in order.
func (f *fifo) take() []*request {
	all := make([]*request, f.len())
	for i := range all {
		all[i] = f.at(i)
	}
	*f = fifo{}
	return all
}
