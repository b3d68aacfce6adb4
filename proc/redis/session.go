package redis

import (
	"errors"
	"sync/atomic"
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// stopBits are the reasons for which a session does not parse its next request.
type stopBits uint16

const (
	stopMap    stopBits = 1 << iota // in flight on an older slot map, or in another protocol version
	stopAway                        // a request of its is being sent on to another node, or tried again
	stopWhole                       // its next request shares keys with one in flight that has several
	stopDepth                       // too many requests, or too much expected, in flight
	stopOutput                      // the client takes its replies too slowly
	stopWindow                      // the node of its next request has too much outstanding
	stopFilter                      // a filter works on its next request
	stopEnd                         // it ends when its replies are out
	stopMove                        // it is to move to another process, or on its way
)

// sessionState is what a client has told about itself and what it has switched: all
// that has to move along when a session moves to another process.
type sessionState struct {
	ID         int64
	Proto      int // 2 or 3
	Name       string
	LibName    string
	LibVersion string
	NoEvict    bool
	NoTouch    bool
	ReplyOff   bool // CLIENT REPLY OFF
	SkipNext   bool // CLIENT REPLY SKIP was the last command
	OptIn      bool // CLIENT TRACKING ON OPTIN; no key is ever opted in
	Refusing   bool // MULTI was refused: so is all up to EXEC
	Created    time.Time
}

// session is one client connection.
type session struct {
	w     *worker
	conn  *eventloop.Conn
	fd    int
	index int // in worker.sessions

	state  sessionState
	parser *resp.Parser // holds a half-parsed frame, else nil
	view   *view        // the slot map that its requests in flight were routed by

	head, tail *request // in the order in which they came
	inFlight   int      // length of that list
	away       []away   // of those, the ones sent back by a node, in the order in which they came back
	wholes     []whole  // of those, the ones with several keys in one slot
	replySize  int      // moving average, bytes
	decoded    int      // bytes of replies that are decompressed, or being so, and not in the output yet
	heavy      bool     // takes the lane of those that move large values
	stuck      int64    // loop time since which output is known to wait, 0: none waits
	caller     uint32   // see callerNumber, 0: to be found out
	stop       stopBits
	moving     moveStep
	gone       atomic.Bool      // its connection is closed; for goroutines that work for it
	overflowed bool             // about to be closed for what it does not take
	held       *heldRequest     // waits for a filter that works on it
	made       *eventloop.Buf   // what filters have made of the request being handled
	mute       bool             // the request being handled gets no reply
	frameIn    eventloop.Memory // what the frame being handled may be kept in by reference, nil: it is to be copied
}

func newSession(w *worker, fd int, id int64) *session {
	return &session{w: w, fd: fd, state: sessionState{ID: id, Proto: 2}, replySize: firstReplySize}
}

func (s *session) open(conn *eventloop.Conn) {
	s.state.Created = time.Now()
	s.w.stats.downstream.opened++
	s.join(conn)
}

// join makes the session one of its worker's.
func (s *session) join(conn *eventloop.Conn) {
	w := s.w
	s.conn = conn
	s.index = len(w.sessions)
	w.sessions = append(w.sessions, s)
	conn.CountBytes(&w.stats.downstream.bytes)
}

// Data takes up requests until they are all taken up or something holds the session
// back.
func (s *session) Data(b []byte) int {
	used := s.takeUp(b)
	if h := s.w.hot; h != nil && h.PaceDue(s.w.loop.Now()) {
		h.Pace(s.w.loop.Now())
	}
	return used
}

func (s *session) takeUp(b []byte) int {
	used := 0
	for used < len(b) && s.stop == 0 {
		p := s.parser
		if p == nil {
			p = s.w.parser
		}
		n, err := p.Parse(b[used:])
		if err != nil {
			s.protocolError(err)
			return len(b)
		}
		if n == 0 {
			s.keepParser(p)
			s.conn.Expect(p.Need())
			return used
		}
		if len(p.Args) > 0 {
			frame := p.Frame(b[used:])
			if n >= shareMin && len(frame) == n && &frame[0] == &b[used] {
				s.frameIn = s.conn
			}
			taken := s.handle(frame, p.Args)
			s.frameIn = nil // it would keep the buffer of a session that falls idle
			if !taken {
				p.Reset() // it comes again once the session may go on
				s.returnParser()
				break
			}
		}
		used += n
		s.returnParser()
	}
	if s.stop != 0 {
		s.conn.Pause()
	}
	return used
}

// keepParser leaves the half-parsed frame with the session and gives the worker
// another parser.
func (s *session) keepParser(p *resp.Parser) {
	w := s.w
	if s.parser != nil {
		return
	}
	s.parser = p
	if n := len(w.spare); n > 0 {
		w.parser = w.spare[n-1]
		w.spare = w.spare[:n-1]
	} else {
		w.parser = new(resp.Parser)
	}
}

func (s *session) returnParser() {
	if s.parser == nil {
		return
	}
	s.parser.Reset()
	s.w.spare = append(s.w.spare, s.parser)
	s.parser = nil
}

func (s *session) protocolError(err error) {
	s.w.stats.downstream.protocolErrors++
	s.returnParser()
	s.w.parser.Reset()
	s.mute = s.state.ReplyOff || s.state.SkipNext
	s.reply(resp.AppendError(s.w.tmp[:0], "ERR "+err.Error()))
	s.finish()
}

// EOF is the client's end of its side: what is due is still sent.
func (s *session) EOF() { s.finish() }

// Flushed is called when the client has taken enough of its output.
func (s *session) Flushed() {
	s.allow(stopOutput)
	s.workOnHead()
}

// Closed lets go of everything. Requests in flight stay in line at their nodes.
func (s *session) Closed(err error) {
	w := s.w
	s.gone.Store(true)
	s.returnParser()
	for r := s.head; r != nil; {
		next := r.next
		r.next = nil
		s.orphan(r)
		r = next
	}
	s.head, s.tail, s.inFlight = nil, nil, 0
	s.forget()
	s.dropHeld()
	last := len(w.sessions) - 1
	w.sessions[s.index] = w.sessions[last]
	w.sessions[s.index].index = s.index
	w.sessions[last] = nil
	w.sessions = w.sessions[:last]
	if errors.Is(err, errMoved) {
		w.stats.downstream.movedOut++
	} else {
		w.stats.downstream.closed++
		w.stats.downstream.lifetime.Observe(uint64(time.Since(s.state.Created) / time.Second))
	}
	w.release()
	w.checkDrained()
}

// orphan detaches a request from its session. One that has its reply is done with.
func (s *session) orphan(r *request) {
	r.sess = nil
	if r.has(reqDone) {
		s.w.drop(r)
		return
	}
	s.w.dropWaiting(r)
}

// push appends a request to the session's order.
func (s *session) push(r *request) {
	if s.mute {
		r.flags |= reqMuted
	}
	if s.tail == nil {
		s.head = r
	} else {
		s.tail.next = r
	}
	s.tail = r
	s.inFlight++
	if s.inFlight >= maxInFlight || s.inFlight*s.replySize > sessionOutput {
		s.stop |= stopDepth
		s.w.stats.downstream.heldDepth++
	}
}

// complete hands over the final reply to a request of the session. src is what it may be
// kept in by reference, nil for memory that is used again.
func (s *session) complete(r *request, reply []byte, src eventloop.Memory) {
	if s.head != r {
		r.flags |= reqDone
		r.reply = s.w.keep(reply, src)
		return
	}
	s.emit(r, reply, src)
	s.advance()
}

// advance takes the answered head off, and all behind it that were answered early.
func (s *session) advance() {
	for {
		r := s.head
		s.head = r.next
		if s.head == nil {
			s.tail = nil
		}
		s.inFlight--
		r.next = nil
		s.w.drop(r)
		r = s.head
		if r == nil || !r.has(reqDone) {
			break
		}
		s.emitEarly(r)
	}
	s.workOnHead()
	if s.stop != 0 || s.w.draining {
		s.reconsider()
	}
}

// emit appends a reply to the session's output.
func (s *session) emit(r *request, reply []byte, src eventloop.Memory) {
	if r.has(reqMuted) || s.overflowed {
		return
	}
	s.weigh(len(reply))
	if src != nil && len(reply) >= shareMin {
		ref := src.Share(reply)
		s.conn.AppendRef(ref)
		ref.Buf.Release()
	} else {
		s.conn.Append(reply)
	}
	if s.conn.Pending() > sessionOutput {
		s.crowded()
	}
}

func (s *session) emitEarly(r *request) {
	switch {
	case r.kind == kindSplit:
		r.split.emit(s, r)
	case r.reply.Len >= shareMin && !r.has(reqMuted) && !s.overflowed:
		s.weigh(r.reply.Len)
		s.conn.AppendRef(r.reply)
		if s.conn.Pending() > sessionOutput {
			s.crowded()
		}
	default:
		s.emit(r, r.reply.Bytes(), nil)
	}
}

// crowded stops reading from a client that is slow to take its replies, and gives
// up one that lets far too much pile up: what is in flight for it still comes.
func (s *session) crowded() {
	if s.stop&stopOutput == 0 {
		s.stop |= stopOutput
		s.w.stats.downstream.heldOutput++
		s.stuck = s.w.loop.Now() // one huge reply may be the first that it gets for long
		s.conn.Pause()
		s.conn.NotifyBelow(sessionOutput / 2)
	}
	pending, stuck := s.conn.Pending(), s.w.loop.Now()-max(s.stuck, s.conn.LastSent()) > int64(time.Second)
	if s.overflowed || pending <= sessionOutputHigh || (!stuck && pending <= sessionOutputMax) {
		return
	}
	s.overflowed = true
	s.w.stats.downstream.overflows++
	s.w.proc.warn.Warn("client closed: it does not take its replies", "client", s.state.ID, "bytes", pending)
	s.w.loop.After(0, func() { s.conn.Close(errStalled) }) // not now: its caller goes on with it
}

// reconsider lifts the reasons to hold back that are gone.
func (s *session) reconsider() {
	if s.inFlight <= maxInFlight/2 && s.inFlight*s.replySize <= sessionOutput/2 {
		s.allow(stopDepth)
	}
	if len(s.away) == 0 {
		s.allow(stopAway)
	}
	if s.inFlight > 0 {
		return
	}
	s.allow(stopMap)
	switch {
	case s.stop&stopEnd != 0:
		s.conn.CloseFlushed()
	case s.stop&stopMove != 0:
		s.w.mover.kick()
	case s.w.draining:
		s.finishIfIdle()
	}
}

// allow lifts one reason to hold back; without any the session goes on.
func (s *session) allow(reason stopBits) {
	if s.stop&reason == 0 {
		return
	}
	s.stop &^= reason
	if s.stop == 0 {
		s.conn.Resume()
	}
}

// follow takes up the newest slot map, which a session may do only when nothing of
// its own is in flight. False means that it has to wait.
func (s *session) follow() bool {
	if s.inFlight > 0 {
		s.stop |= stopMap
		return false
	}
	s.view = s.w.view
	return true
}

// finish ends the session: nothing more is taken up, and the connection is closed
// once all that is due has been sent.
func (s *session) finish() {
	s.stop |= stopEnd
	s.conn.Pause()
	if s.inFlight == 0 {
		s.conn.CloseFlushed()
	}
}

// finishIfIdle ends the session when it waits for nothing and nothing that it has
// sent is still to be read. Half a command does not count.
func (s *session) finishIfIdle() {
	held := s.parser == nil && s.conn.Buffered() > 0 // it was held back, and comes again now
	if s.inFlight == 0 && s.stop == 0 && !held && s.conn.Unread() == 0 {
		s.finish()
	}
}

// expire closes a session that has been idle, or stuck, for too long.
func (s *session) expire(now int64) {
	idle := int64(s.w.settings.idleTimeout)
	c := s.conn
	if c.Frozen() {
		return // it may be another process's by now
	}
	if c.Pending() == 0 {
		s.stuck = 0
	} else if s.stuck == 0 {
		s.stuck = now // a late reply may have been appended only now, and not be written yet
	}
	switch {
	case s.stuck > 0 && now-max(s.stuck, c.LastSent(), c.LastRead()) > int64(s.w.settings.stallTimeout):
		s.w.stats.downstream.stalls++
		c.Close(errStalled)
	case s.inFlight == 0 && s.stop&(stopFilter|stopWindow) == 0 && idle > 0 && now-max(c.LastRead(), c.LastSent()) > idle:
		s.w.stats.downstream.idleTimeouts++
		c.Close(errIdle)
	}
}

// reply answers the request being handled from memory that may be reused at once:
// now if nothing is due before it, else in its turn.
func (s *session) reply(b []byte) {
	s.w.tmp = b[:0]
	if s.mute {
		return
	}
	if s.head == nil {
		s.conn.Append(b)
		if s.conn.Pending() > sessionOutput {
			s.crowded()
		}
		return
	}
	r := s.w.newRequest(s, nil, kindLocal)
	r.flags |= reqDone
	r.reply = s.w.keep(b, nil)
	s.push(r)
}

// refuse answers the request being handled with an error of the proxy or of Redis;
// text is without the leading minus.
func (s *session) refuse(info *command.Info, text string) {
	s.w.stats.countError(info)
	s.reply(resp.AppendError(s.w.tmp[:0], text))
}
