package redis

// lane chooses among the connections to a node: there is one for each protocol
// version, as replies differ, and one more of each for sessions that move large
// values, so that the others do not wait behind these.
type lane uint8

const (
	laneHeavy lane = 1 << 1
	lanes          = 4

	// heavyReply is the average size of replies, and heavyFrame that of one request,
	// from which on a session is heavy; with lightReply it is so no more.
	heavyReply = 512 << 10
	heavyFrame = 1 << 20
	lightReply = 64 << 10
)

// proto is the protocol version of the lane's connections.
func (l lane) proto() int { return 2 + int(l&1) }

// lane is the one that the session's requests take.
func (s *session) lane() lane {
	l := lane(s.state.Proto - 2)
	if s.heavy {
		l |= laneHeavy
	}
	return l
}

// weigh notes the size of a reply.
func (s *session) weigh(n int) { s.replySize += (n - s.replySize) >> 3 }

// changeLane lets the session take the other lane if it should, which it may do only
// when nothing of its own is in flight. False means that it has to wait.
func (s *session) changeLane(frame int) bool {
	heavy := s.replySize >= heavyReply || frame >= heavyFrame
	if s.heavy && !heavy && (s.replySize > lightReply || s.inFlight > 0) {
		return true // there is no hurry to go back
	}
	if s.heavy != heavy && s.inFlight > 0 {
		s.stop |= stopMap
		return false
	}
	s.heavy = heavy
	return true
}
