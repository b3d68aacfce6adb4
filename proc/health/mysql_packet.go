package health

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxPacket bounds the payload of a packet from a server. None of a login comes near.
const maxPacket = 16 << 10

// Capability flags, page "Capabilities Flags" of the MySQL source documentation.
const (
	clientLongPassword     = 1 << 0
	clientProtocol41       = 1 << 9
	clientSecureConnection = 1 << 15
	clientPluginAuth       = 1 << 19
)

// First bytes of packets from a server.
const (
	headOK       = 0x00 // page "OK_Packet"
	headMore     = 0x01 // page "Protocol::AuthMoreData"
	headSwitch   = 0xfe // page "Protocol::AuthSwitchRequest"
	headError    = 0xff // page "ERR_Packet"
	headVersion  = 10   // page "Protocol::HandshakeV10"
	fastAuthDone = 0x03 // of AuthMoreData, page "Caching SHA-2 information"
)

// errTooManyConnections is ER_CON_COUNT_ERROR.
const errTooManyConnections = 1040

// quitPacket is COM_QUIT, page "COM_QUIT". A command begins a new sequence.
var quitPacket = []byte{1, 0, 0, 0, 1}

// packet is one packet of the protocol:
//
//	3 bytes   length of the payload, low byte first
//	1 byte    sequence number
//	payload
//
// See the page "MySQL Packets".
type packet struct {
	seq     byte
	payload []byte
}

// readPacket reads a packet with a payload.
func readPacket(r *bufio.Reader) (p packet, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return p, early(err)
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size == 0 {
		return p, errors.New("an empty packet: this is no MySQL server")
	}
	if size > maxPacket {
		return p, fmt.Errorf("a packet of %d bytes: this is no MySQL server", size)
	}
	p = packet{head[3], make([]byte, size)}
	_, err = io.ReadFull(r, p.payload)
	return p, early(err)
}

// appendPacket appends a packet.
func appendPacket(dst []byte, seq byte, payload []byte) []byte {
	n := len(payload)
	return append(append(dst, byte(n), byte(n>>8), byte(n>>16), seq), payload...)
}

// greeting is what a check needs of a server's first packet.
type greeting struct {
	version      string
	capabilities uint32
}

// parseGreeting parses the first packet, Protocol::HandshakeV10:
//
//	1   version of the protocol, 10
//	z   version of the server
//	4   id of the connection
//	8   first part of the scramble
//	1   0
//	2   capabilities, lower half
//	1   character set
//	2   status
//	2   capabilities, upper half
//
// and more, which does not matter here. The error is a [serverError] when the server
// has sent one in its place.
func parseGreeting(payload []byte) (g greeting, err error) {
	if payload[0] == headError {
		return g, parseServerError(payload)
	}
	if payload[0] != headVersion {
		return g, fmt.Errorf("protocol version %d, not %d: this is no MySQL server", payload[0], headVersion)
	}
	version, rest, ok := bytes.Cut(payload[1:], []byte{0})
	if !ok || len(rest) < 15 || rest[12] != 0 {
		return g, errors.New("it is broken")
	}
	g.version = string(version)
	g.capabilities = uint32(binary.LittleEndian.Uint16(rest[13:]))
	if len(rest) >= 20 {
		g.capabilities |= uint32(binary.LittleEndian.Uint16(rest[18:])) << 16
	}
	return g, nil
}

// appendLogin appends the packet Protocol::HandshakeResponse41 with an empty password:
//
//	4   capabilities
//	4   largest packet
//	1   character set
//	23  0
//	z   user
//	1   length of the answer to the scramble: 0; it ends the answer for servers
//	    that know of no lengths, too
//	z   method of authentication, when the server knows of methods
func appendLogin(dst []byte, seq byte, server greeting, user string) []byte {
	const utf8 = 33
	flags := server.capabilities & (clientLongPassword | clientProtocol41 | clientSecureConnection | clientPluginAuth)
	p := binary.LittleEndian.AppendUint32(nil, flags)
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	p = append(append(p, utf8), make([]byte, 23)...)
	p = append(append(p, user...), 0)
	p = append(p, 0)
	if flags&clientPluginAuth != 0 {
		p = append(p, "mysql_native_password\x00"...)
	}
	return appendPacket(dst, seq, p)
}

// loginStep says how a login goes on.
type loginStep uint8

const (
	loginDone   loginStep = iota
	loginSwitch           // the server wants an answer by another method
	loginMore             // there is another packet to come
)

// parseLoginReply parses an answer to a login.
func parseLoginReply(payload []byte) (loginStep, error) {
	switch payload[0] {
	case headOK:
		return loginDone, nil
	case headError:
		return 0, parseServerError(payload)
	case headSwitch:
		if len(payload) == 1 {
			return 0, errors.New("the server wants a password as before MySQL 4.1")
		}
		return loginSwitch, nil
	case headMore:
		if len(payload) == 2 && payload[1] == fastAuthDone {
			return loginMore, nil
		}
		return 0, errors.New("the server wants a password")
	}
	return 0, fmt.Errorf("unexpected packet that begins with %#x", payload[0])
}

// serverError is an error that a server has sent.
type serverError struct {
	code uint16
	text string
}

// Error returns the text with the code, as clients of MySQL show it.
func (e *serverError) Error() string { return fmt.Sprintf("error %d: %s", e.code, e.text) }

// parseServerError parses an ERR_Packet:
//
//	1   0xff
//	2   code
//	6   '#' and the SQL state, when the two have agreed on protocol 4.1; some
//	    servers send it before that
//	*   text
func parseServerError(payload []byte) error {
	if len(payload) < 3 {
		return errors.New("the server sent a broken error")
	}
	text := payload[3:]
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	return &serverError{binary.LittleEndian.Uint16(payload[1:]), clean(text)}
}
