package hotrestart

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"golang.org/x/sys/unix"
)

// kind is the type of a message. Numbers are never used anew.
type kind uint16

const (
	kindHello    kind = 1  // both ways, first: hello
	kindOffer    kind = 2  // to the child: offer, a descriptor per listener; raw: welcome, in the last one
	kindProgress kind = 3  // to the parent: text
	kindFailed   kind = 4  // to the parent: text
	kindReady    kind = 5  // to the parent
	kindGo       kind = 6  // to the child; raw: state
	kindTaken    kind = 7  // to the parent
	kindSession  kind = 8  // to the child: session, one descriptor; raw: state, input
	kindAck      kind = 9  // to the parent: answer
	kindRefused  kind = 10 // to the parent: answer
	kindUpdate   kind = 11 // to the child; raw: state
	kindFinish   kind = 12 // to the child, last
	kindEnding   kind = 13 // to the parent
	kindUnknown  kind = 14 // both ways: unknown
	kindAsk      kind = 15 // to the child
	kindHere     kind = 16 // to the parent
)

var kindNames = map[kind]string{
	kindHello: "HELLO", kindOffer: "OFFER", kindProgress: "PROGRESS", kindFailed: "FAILED", kindReady: "READY",
	kindGo: "GO", kindTaken: "TAKEN", kindSession: "SESSION", kindAck: "ACK", kindRefused: "REFUSED",
	kindUpdate: "UPDATE", kindFinish: "FINISH", kindEnding: "ENDING", kindUnknown: "UNKNOWN",
	kindAsk: "ASK", kindHere: "HERE",
}

func (k kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return strconv.Itoa(int(k))
}

// The bodies.
type (
	hello struct {
		Protocol int    `json:"protocol"`
		Sessions int    `json:"sessions"`
		Version  string `json:"version"`
	}
	offer struct {
		Listeners []address `json:"listeners,omitempty"`
		Last      bool      `json:"last,omitempty"`
	}
	address struct {
		Network string `json:"network"`
		Address string `json:"address"`
	}
	text struct {
		Text string `json:"text"`
	}
	session struct {
		ID      uint64 `json:"id"`
		Service string `json:"service"`
		State   uint64 `json:"state"` // how many of the raw bytes; the others are input
	}
	answer struct {
		ID     uint64 `json:"id"`
		Reason string `json:"reason,omitempty"`
	}
	unknown struct {
		Type kind `json:"type"`
	}
)

const (
	protocolVersion = 1 // of what comes behind GO, but for the sessions
	framing         = 1 // of the header; another one is not understood

	magic      = "SmHR"
	headerSize = 24

	maxFDs  = 253     // SCM_MAX_FD of the kernel
	maxBody = 1 << 20 // bytes
	maxRaw  = 1 << 30 // bytes
	maxText = 1 << 14 // bytes of a text for people
)

// header is what a message begins with.
type header struct {
	kind kind
	fds  int
	body int // bytes
	raw  int // bytes
}

func (h header) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, framing)
	b = binary.BigEndian.AppendUint16(b, uint16(h.kind))
	b = binary.BigEndian.AppendUint16(b, uint16(h.fds))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(h.body))
	return binary.BigEndian.AppendUint64(b, uint64(h.raw))
}

// parseHeader needs headerSize bytes.
func parseHeader(b []byte) (header, error) {
	if string(b[:4]) != magic {
		return header{}, fmt.Errorf("%w: a message begins with %q", errProtocol, b[:4])
	}
	if v := binary.BigEndian.Uint16(b[4:]); v != framing {
		return header{}, fmt.Errorf("%w: framing of version %d, not %d", errProtocol, v, framing)
	}
	body, raw := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint64(b[16:])
	h := header{
		kind: kind(binary.BigEndian.Uint16(b[6:])),
		fds:  int(binary.BigEndian.Uint16(b[8:])),
		body: int(body),
		raw:  int(min(raw, math.MaxInt)),
	}
	return h, h.check()
}

func (h header) check() error {
	if h.fds > maxFDs || h.body > maxBody || h.raw > maxRaw {
		return fmt.Errorf("%w: a message %s of %d descriptors, %d and %d bytes is above the limits",
			errProtocol, h.kind, h.fds, h.body, h.raw)
	}
	return nil
}

// message is one that has come. Whoever takes a descriptor takes it out of fds.
type message struct {
	kind      kind
	fds       []int
	truncated bool // the kernel could not give us all descriptors
	body      []byte
	raw       []byte
}

// decode reads the body. Fields that are not known are ignored.
func (m *message) decode(into any) error {
	if err := json.Unmarshal(m.body, into); err != nil {
		return fmt.Errorf("%w: body of %s: %w", errProtocol, m.kind, err)
	}
	return nil
}

// take takes the descriptors over.
func (m *message) take() []int {
	fds := m.fds
	m.fds = nil
	return fds
}

// close closes the descriptors that nobody took.
func (m *message) close() {
	for _, fd := range m.take() {
		_ = unix.Close(fd)
	}
}

// encodeBody is empty for nil.
func encodeBody(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// short cuts a text for people to what fits.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText] + "..."
}
