package cluster

import (
	"net"
	"net/netip"
	"strconv"
)

// maxHost is the longest host accepted, in bytes: the limit of a DNS name.
const maxHost = 255

// What a byte of a host can be part of. A host is all of one or all of the other.
const (
	ofName = 1 << iota // a name or an IPv4 address
	ofIPv6             // an IPv6 address, no zone
)

var hostByte = makeHostBytes()

func makeHostBytes() (t [256]uint8) {
	for _, c := range []byte("0123456789abcdefABCDEF.") {
		t[c] = ofName | ofIPv6
	}
	for _, c := range []byte("ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_") {
		t[c] = ofName
	}
	t[':'] = ofIPv6
	return t
}

// splitEndpoint splits host:port at the last colon. Brackets around the host are taken off; an
// unknown host ("?") comes out empty. It fails on a port out of 1..65535 and on bytes that no host
// has.
func splitEndpoint(s []byte) (host []byte, port uint16, ok bool) {
	colon := lastColon(s)
	if colon < 0 {
		return nil, 0, false
	}
	number, n := leadingNumber(s[colon+1:])
	if n == 0 || n != len(s)-colon-1 || number < 1 || number > 65535 {
		return nil, 0, false
	}
	host = cleanHost(s[:colon])
	if !plausibleHost(host) {
		return nil, 0, false
	}
	return host, uint16(number), true
}

// cleanHost takes the brackets off an IPv6 address and makes the unknown host "?" an empty one.
func cleanHost(host []byte) []byte {
	if n := len(host); n >= 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	if len(host) == 1 && host[0] == '?' {
		return host[:0]
	}
	return host
}

// plausibleHost is the check that the hot path can afford: length and alphabet. The empty host
// passes.
func plausibleHost(host []byte) bool {
	if len(host) > maxHost {
		return false
	}
	can := uint8(ofName | ofIPv6)
	for _, c := range host {
		can &= hostByte[c]
	}
	return can != 0
}

// dialAddr joins host and port for net.Dial. It fails on a port out of 1..65535 and on a host that
// is empty or neither a name nor an IP address.
func dialAddr(host string, port int64) (string, bool) {
	if port < 1 || port > 65535 || host == "" || !plausibleHost([]byte(host)) {
		return "", false
	}
	if lastColon(host) >= 0 {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), true
}

// hostOf returns the host of the host:port addr without brackets, all of addr when it has no port.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

func lastColon[T string | []byte](s T) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == ':' {
			return i
		}
	}
	return -1
}

// leadingNumber reads the decimal number that s starts with and returns it and its length, which is
// 0 when there is none or when it has more than five digits.
func leadingNumber(s []byte) (number, length int) {
	for length < len(s) && '0' <= s[length] && s[length] <= '9' {
		if length == 5 {
			return 0, 0
		}
		number = number*10 + int(s[length]-'0')
		length++
	}
	return number, length
}

func appendPort(dst []byte, port uint16) []byte {
	return strconv.AppendUint(dst, uint64(port), 10)
}

// trimEnd takes off one line end, LF or CRLF.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}
