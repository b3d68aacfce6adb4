package redis

import (
	"strconv"
	"strings"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

const errClientName = "ERR Client names cannot contain spaces, newlines or special characters."

// unknownVersion is what a client is told while no node has told its version.
const unknownVersion = "7.0.0"

// serverVersion is the version of Redis that clients are to adapt to: that of the
// nodes, as what they can do is what the proxy can do.
func (s *session) serverVersion() string {
	if v := s.w.proc.topology.Version(); v != "" {
		return v
	}
	return unknownVersion
}

// hello takes its options one by one, as Redis 7.0 does: what came before a bad one
// stays in force, except that the protocol changes at the very end.
func (s *session) hello(info *command.Info, frame []byte, args []resp.Arg) {
	proto := s.state.Proto
	if len(args) > 1 {
		v, ok := integer(argument(frame, args, 1))
		if !ok {
			s.fail(info, "ERR Protocol version is not an integer or out of range")
			return
		}
		if problem := s.refuseProtocol(v); problem != "" {
			s.fail(info, problem)
			return
		}
		proto = int(v)
	}
	if problem := s.helloOptions(frame, args); problem != "" {
		s.fail(info, problem)
		return
	}
	s.state.Proto = proto
	s.reply(s.appendHello(s.scratch()))
}

// refuseProtocol returns the error for a protocol version that cannot be had, or "".
func (s *session) refuseProtocol(v int64) string {
	if v != 2 && v != 3 {
		return "NOPROTO unsupported protocol version"
	}
	version := s.w.proc.topology.Version()
	if v == 3 && version != "" && majorVersion(version) < 6 {
		return "NOPROTO samaritan: the nodes of the cluster are Redis " + version + ", which does not speak RESP3"
	}
	return ""
}

// majorVersion is the number before the first dot; a very large one when there is
// none, so that what cannot be read is taken for new.
func majorVersion(version string) int {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 1 << 30
	}
	return n
}

// helloOptions applies what follows the protocol version and returns the error, or "".
func (s *session) helloOptions(frame []byte, args []resp.Arg) string {
	for i := 2; i < len(args); i++ {
		option, more := argument(frame, args, i), len(args)-1-i
		switch {
		case equalFold(option, "auth") && more >= 2:
			if !isDefaultUser(argument(frame, args, i+1)) {
				return errWrongPas
			}
			i += 2
		case equalFold(option, "setname") && more >= 1:
			name := argument(frame, args, i+1)
			if !printable(name) {
				return errClientName
			}
			s.state.Name = string(name)
			s.caller = 0
			i++
		default:
			return "ERR Syntax error in HELLO option '" + cString(option) + "'"
		}
	}
	return ""
}

func (s *session) appendHello(b []byte) []byte {
	b = resp.AppendMapHeader(b, 7, s.resp3())
	b = appendPair(b, "server", "redis")
	b = appendPair(b, "version", s.serverVersion())
	b = appendNumber(b, "proto", int64(s.state.Proto))
	b = appendNumber(b, "id", s.state.ID)
	b = appendPair(b, "mode", "standalone")
	b = appendPair(b, "role", "master")
	b = resp.AppendBulkString(b, "modules")
	return resp.AppendArrayHeader(b, 0)
}

func appendPair(dst []byte, name, value string) []byte {
	return resp.AppendBulkString(resp.AppendBulkString(dst, name), value)
}

func appendNumber(dst []byte, name string, v int64) []byte {
	return resp.AppendInt(resp.AppendBulkString(dst, name), v)
}

// printable reports whether Redis takes the text as a client's name.
func printable(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
