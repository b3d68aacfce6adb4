package redis

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// moveVersion is the version of movedSession that this build writes. Versions differ in
// fields only: those that a reader does not know are left out, those that are missing
// have their default.
const moveVersion = 1

// movedSession is what goes along with a client connection to another process, as JSON.
type movedSession struct {
	Version    int    `json:"v"`
	ID         int64  `json:"id,omitempty"`    // default: a new one
	Proto      int    `json:"proto,omitempty"` // default: 2
	Name       string `json:"name,omitempty"`
	LibName    string `json:"lib_name,omitempty"`
	LibVersion string `json:"lib_ver,omitempty"`
	NoEvict    bool   `json:"no_evict,omitempty"`
	NoTouch    bool   `json:"no_touch,omitempty"`
	ReplyOff   bool   `json:"reply_off,omitempty"`
	SkipNext   bool   `json:"skip_next,omitempty"`
	OptIn      bool   `json:"opt_in,omitempty"`
	Refusing   bool   `json:"refusing,omitempty"`
	Created    int64  `json:"created,omitempty"`    // Unix time in milliseconds; default: now
	Idle       int64  `json:"idle,omitempty"`       // milliseconds since something was read or written
	ReplySize  int    `json:"reply_size,omitempty"` // moving average, bytes
	Unsettled  []byte `json:"unsettled,omitempty"`  // slots that have just moved, 16 bits each, little endian
}

// pack encodes the session for its move.
func (s *session) pack() []byte {
	st := &s.state
	b, _ := json.Marshal(movedSession{ // such a struct has nothing that could fail
		Version: moveVersion,
		ID:      st.ID, Proto: st.Proto, Name: st.Name, LibName: st.LibName, LibVersion: st.LibVersion,
		NoEvict: st.NoEvict, NoTouch: st.NoTouch, ReplyOff: st.ReplyOff, SkipNext: st.SkipNext,
		OptIn: st.OptIn, Refusing: st.Refusing,
		Created:   time.Now().Add(-time.Since(st.Created)).UnixMilli(), // the clock may have been set since
		Idle:      (s.w.loop.Now() - max(s.conn.LastRead(), s.conn.LastSent())) / int64(time.Millisecond),
		ReplySize: s.replySize,
		Unsettled: s.w.packUnsettled(),
	})
	return b
}

// unpackSession decodes what pack has made, maybe in another version, and checks it.
func unpackSession(b []byte) (*movedSession, error) {
	m := new(movedSession)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode the state of a client: %w", err)
	}
	if m.Version < 1 {
		return nil, fmt.Errorf("the state of a client has version %d", m.Version)
	}
	if m.Proto == 0 {
		m.Proto = 2
	}
	if m.Proto != 2 && m.Proto != 3 {
		return nil, fmt.Errorf("a client speaks protocol version %d, which is not known here", m.Proto)
	}
	if m.ID < 0 || m.ID > maxClientID {
		return nil, fmt.Errorf("a client has the number %d", m.ID)
	}
	for _, text := range []string{m.Name, m.LibName, m.LibVersion} {
		if !printable([]byte(text)) {
			return nil, fmt.Errorf("a client has the name %.100q", text)
		}
	}
	if m.ReplySize <= 0 || m.ReplySize > sessionOutputMax {
		m.ReplySize = firstReplySize
	}
	m.Idle = min(max(m.Idle, 0), int64(365*24*time.Hour/time.Millisecond))
	return m, nil
}

// state is what the session begins with.
func (m *movedSession) state() sessionState {
	return sessionState{
		ID: m.ID, Proto: m.Proto, Name: m.Name, LibName: m.LibName, LibVersion: m.LibVersion,
		NoEvict: m.NoEvict, NoTouch: m.NoTouch, ReplyOff: m.ReplyOff, SkipNext: m.SkipNext,
		OptIn: m.OptIn, Refusing: m.Refusing,
		Created: m.created(),
	}
}

// created is when the client connected, on the clock of this process; it is not in the
// future.
func (m *movedSession) created() time.Time {
	now := time.Now()
	if m.Created <= 0 {
		return now
	}
	return now.Add(-max(now.Sub(time.UnixMilli(m.Created)), 0))
}

// packUnsettled lists the slots that have just moved. A process that a session comes to has
// to know of them as well, or the session's pipelines could be reordered (order_unsettled.go).
func (w *worker) packUnsettled() (b []byte) {
	for slot := range w.unsettled {
		b = binary.LittleEndian.AppendUint16(b, slot)
	}
	return b
}

// unpackUnsettled takes over what packUnsettled has listed.
func (w *worker) unpackUnsettled(b []byte) {
	for slot := range slices.Chunk(b, 2) {
		if len(slot) == 2 {
			w.unsettle(binary.LittleEndian.Uint16(slot))
		}
	}
}
