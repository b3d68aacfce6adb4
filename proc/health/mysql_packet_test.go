package health

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Packets of servers, as they were recorded or as the documentation has them.
var (
	greeting10 = func(version string, capabilities uint32) string {
		p := append([]byte{10}, version+"\x00"...)
		p = binary.LittleEndian.AppendUint32(p, 7)
		p = append(p, "scramble\x00"...)
		p = binary.LittleEndian.AppendUint16(p, uint16(capabilities))
		p = append(p, 45, 2, 0)
		p = binary.LittleEndian.AppendUint16(p, uint16(capabilities>>16))
		p = append(p, 21)
		p = append(p, make([]byte, 10)...)
		p = append(p, "more-scramble\x00"+"mysql_native_password\x00"...)
		return framed(0, string(p))
	}
	modern  = greeting10("11.4.2-MariaDB", clientProtocol41|clientSecureConnection|clientPluginAuth)
	okReply = "\x00\x00\x00\x02\x00\x00\x00"
)

// framed puts a payload into a packet.
func framed(seq byte, payload string) string { return string(appendPacket(nil, seq, []byte(payload))) }

func parse(t *testing.T, stream string) (packet, error) {
	t.Helper()
	return readPacket(bufio.NewReader(strings.NewReader(stream)))
}

func TestPacketIsReadWhole(t *testing.T) {
	p, err := parse(t, "\x03\x00\x00\x07abcd")
	require.NoError(t, err)
	require.Equal(t, packet{7, []byte("abc")}, p)
	for name, c := range map[string][2]string{
		"nothing":        {"", "unexpected EOF"},
		"half a header":  {"\x03\x00", "unexpected EOF"},
		"half a payload": {"\x03\x00\x00\x00ab", "unexpected EOF"},
		"empty":          {"\x00\x00\x00\x00", "an empty packet"},
		"too large":      {"\x01\x40\x00\x00", "a packet of 16385 bytes"},
		"not MySQL":      {"HTTP/1.1 400", "a packet of 5526600 bytes: this is no MySQL server"},
	} {
		_, err := parse(t, c[0])
		require.ErrorContains(t, err, c[1], name)
	}
}

func TestGreetingIsUnderstood(t *testing.T) {
	p, err := parse(t, modern)
	require.NoError(t, err)
	g, err := parseGreeting(p.payload)
	require.NoError(t, err)
	require.Equal(t, greeting{"11.4.2-MariaDB", clientProtocol41 | clientSecureConnection | clientPluginAuth}, g)

	// Servers before 4.1 end after the first half of the capabilities.
	g, err = parseGreeting([]byte("\x0a3.23.58\x00\x01\x00\x00\x00scramble\x00\x2c\x00"))
	require.NoError(t, err)
	require.Equal(t, greeting{"3.23.58", 0x2c}, g)

	for name, c := range map[string][2]string{
		"another version": {"\x09old", "protocol version 9, not 10"},
		"no version text": {"\x0a5.7.1", "it is broken"},
		"too short":       {"\x0a5.7.1\x00\x01\x00\x00\x00scramble\x00\x2c", "it is broken"},
		"no filler":       {"\x0a5.7.1\x00\x01\x00\x00\x00scramble!\x00\x00", "it is broken"},
		"an error":        {"\xff\x10\x04Too many connections", "error 1040: Too many connections"},
		"its state":       {"\xff\x69\x04#HY000Host 'h' is blocked", "error 1129: Host 'h' is blocked"},
		"a broken error":  {"\xff\x10", "the server sent a broken error"},
		"control bytes":   {"\xff\x10\x04a\nb\xff", "error 1040: a b?"},
		"a long error":    {"\xff\x10\x04" + strings.Repeat("x", 2*maxText), "error 1040: " + strings.Repeat("x", maxText)},
	} {
		_, err := parseGreeting([]byte(c[0]))
		require.ErrorContains(t, err, c[1], name)
		require.Less(t, len(err.Error()), maxText+100)
	}
}

func TestLoginSaysOnlyWhatTheServerKnows(t *testing.T) {
	login := appendLogin(nil, 1, greeting{"8", 0xffffffff}, "checker")
	require.Equal(t, "\x3f\x00\x00\x01"+
		"\x01\x82\x08\x00"+"\x00\x00\x00\x01"+"\x21"+strings.Repeat("\x00", 23)+
		"checker\x00"+"\x00"+"mysql_native_password\x00", string(login))

	login = appendLogin(nil, 1, greeting{"5.0", clientProtocol41 | clientSecureConnection}, "c")
	require.Equal(t, "\x23\x00\x00\x01"+
		"\x00\x82\x00\x00"+"\x00\x00\x00\x01"+"\x21"+strings.Repeat("\x00", 23)+"c\x00"+"\x00", string(login))
}

// FuzzMySQLPackets plays any bytes to a login as a server would.
func FuzzMySQLPackets(f *testing.F) {
	f.Add([]byte(modern + okReply))
	f.Add([]byte(modern + framed(2, "\xfecaching_sha2_password\x00scramble") + framed(4, "\x01\x03") + okReply))
	f.Add([]byte(framed(0, "\xff\x10\x04Too many connections")))
	f.Add([]byte("\x0a\x00\x00\x00\x0a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		p, err := readPacket(r)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(p.payload), maxPacket)
		if g, err := parseGreeting(p.payload); err == nil {
			require.Equal(t, byte(headVersion), p.payload[0])
			login := appendLogin(nil, p.seq+1, g, "user")
			sent, err := readPacket(bufio.NewReader(bytes.NewReader(login)))
			require.NoError(t, err)
			require.Equal(t, p.seq+1, sent.seq)
		} else {
			require.Less(t, len(err.Error()), maxText*4)
		}
		for {
			p, err := readPacket(r)
			if err != nil {
				require.NotErrorIs(t, err, io.EOF)
				return
			}
			if _, err := parseLoginReply(p.payload); err == nil {
				require.Contains(t, []byte{headOK, headMore, headSwitch}, p.payload[0])
			}
		}
	})
}
