package redis

import (
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// clientFuncs are the subcommands of CLIENT. Those about other connections are left
// out: a loop knows its own clients only, and several proxies may stand side by side.
var clientFuncs = map[string]localFunc{
	"client|caching":      (*session).clientCaching,
	"client|capa":         (*session).accept, // unknown capabilities are ignored by definition
	"client|getname":      (*session).clientGetName,
	"client|getredir":     (*session).clientGetRedir,
	"client|id":           (*session).clientID,
	"client|info":         (*session).clientInfo,
	"client|no-evict":     (*session).clientNoEvict,
	"client|no-touch":     (*session).clientNoTouch,
	"client|reply":        (*session).clientReply,
	"client|setinfo":      (*session).clientSetInfo,
	"client|setname":      (*session).clientSetName,
	"client|tracking":     (*session).clientTracking,
	"client|trackinginfo": (*session).clientTrackingInfo,
	"client|help": help(
		"CLIENT <subcommand> [<arg> ...]. The subcommands that this proxy knows are:",
		"GETNAME",
		"    The name of this connection.",
		"GETREDIR",
		"    -1 without tracking, 0 with it, as there is no redirection.",
		"ID",
		"    The number of this connection.",
		"INFO",
		"    The properties of this connection.",
		"NO-EVICT (ON|OFF)",
		"    Accepted, without effect on the nodes.",
		"NO-TOUCH (ON|OFF)",
		"    Accepted, without effect on the nodes.",
		"REPLY (ON|OFF|SKIP)",
		"    Whether commands on this connection are answered.",
		"SETINFO (LIB-NAME|LIB-VER) <value>",
		"    Tell the name or version of the client library.",
		"SETNAME <name>",
		"    Give this connection a name.",
		"TRACKING (OFF|ON OPTIN)",
		"    Accepted. No key can be opted in yet, and there are no other modes.",
		"TRACKINGINFO",
		"    The state of tracking on this connection.",
	),
}

func (s *session) clientSetName(info *command.Info, frame []byte, args []resp.Arg) {
	name := argument(frame, args, 2)
	if !printable(name) {
		s.fail(info, errClientName)
		return
	}
	s.state.Name = string(name)
	s.caller = 0
	s.ok()
}

func (s *session) clientGetName(*command.Info, []byte, []resp.Arg) {
	if s.state.Name == "" {
		s.reply(resp.AppendNull(s.scratch(), s.resp3()))
		return
	}
	s.answer(resp.AppendBulkString(s.scratch(), s.state.Name))
}

// clientSetInfo is of Redis 7.2; client libraries send it unasked.
func (s *session) clientSetInfo(info *command.Info, frame []byte, args []resp.Arg) {
	option, value := argument(frame, args, 2), argument(frame, args, 3)
	var field *string
	name := ""
	switch {
	case equalFold(option, "lib-name"):
		field, name = &s.state.LibName, "lib-name"
	case equalFold(option, "lib-ver"):
		field, name = &s.state.LibVersion, "lib-ver"
	default:
		s.fail(info, "ERR Unrecognized option '"+cString(option)+"'")
		return
	}
	if !printable(value) {
		s.fail(info, "ERR "+name+" cannot contain spaces, newlines or special characters.")
		return
	}
	*field = string(value)
	s.caller = 0
	s.ok()
}

func (s *session) clientID(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendInt(s.scratch(), s.state.ID))
}

func (s *session) clientGetRedir(*command.Info, []byte, []resp.Arg) {
	to := int64(-1)
	if s.state.OptIn {
		to = 0
	}
	s.reply(resp.AppendInt(s.scratch(), to))
}

func (s *session) clientNoEvict(info *command.Info, frame []byte, args []resp.Arg) {
	s.toggle(info, argument(frame, args, 2), &s.state.NoEvict)
}

func (s *session) clientNoTouch(info *command.Info, frame []byte, args []resp.Arg) {
	s.toggle(info, argument(frame, args, 2), &s.state.NoTouch)
}

func (s *session) toggle(info *command.Info, word []byte, state *bool) {
	switch {
	case equalFold(word, "on"):
		*state = true
	case equalFold(word, "off"):
		*state = false
	default:
		s.fail(info, errSyntax)
		return
	}
	s.ok()
}

// clientReply switches replies off and on. OFF and SKIP have none themselves; ON has
// one whatever was before it.
func (s *session) clientReply(info *command.Info, frame []byte, args []resp.Arg) {
	switch mode := argument(frame, args, 2); {
	case equalFold(mode, "on"):
		s.state.ReplyOff = false
		s.mute = false
		s.ok()
	case equalFold(mode, "off"):
		s.state.ReplyOff = true
	case equalFold(mode, "skip"):
		s.state.SkipNext = !s.state.ReplyOff
	default:
		s.fail(info, errSyntax)
	}
}

// clientTracking: invalidations would come from the node connections that sessions
// share, so no key can be tracked. In OPTIN mode none is before CLIENT CACHING YES,
// which fails: that mode promises nothing, and there are client libraries that switch
// it on for each connection whether they will use it or not.
func (s *session) clientTracking(info *command.Info, frame []byte, args []resp.Arg) {
	switch mode := argument(frame, args, 2); {
	case equalFold(mode, "on") && len(args) == 4 && equalFold(argument(frame, args, 3), "optin"):
		s.state.OptIn = true
		s.ok()
	case equalFold(mode, "on"):
		s.unsupported(info, frame, args)
	case equalFold(mode, "off") && len(args) == 3:
		s.state.OptIn = false
		s.ok()
	default:
		s.fail(info, errSyntax)
	}
}

func (s *session) clientCaching(info *command.Info, frame []byte, args []resp.Arg) {
	switch mode := argument(frame, args, 2); {
	case !s.state.OptIn:
		s.fail(info, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case equalFold(mode, "yes"):
		s.unsupported(info, frame, args)
	case equalFold(mode, "no"):
		s.fail(info, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	default:
		s.fail(info, errSyntax)
	}
}

func (s *session) clientTrackingInfo(*command.Info, []byte, []resp.Arg) {
	flags, redirect := []string{"off"}, int64(-1)
	if s.state.OptIn {
		flags, redirect = []string{"on", "optin"}, 0
	}
	b := resp.AppendMapHeader(s.scratch(), 3, s.resp3())
	b = resp.AppendBulkString(b, "flags")
	b = resp.AppendSetHeader(b, len(flags), s.resp3())
	for _, f := range flags {
		b = resp.AppendBulkString(b, f)
	}
	b = appendNumber(b, "redirect", redirect)
	b = resp.AppendBulkString(b, "prefixes")
	s.reply(resp.AppendArrayHeader(b, 0))
}

func (s *session) clientInfo(info *command.Info, frame []byte, args []resp.Arg) {
	line := s.appendClientLine(nil, info, frame, args)
	s.answer(resp.AppendVerbatim(s.scratch(), "txt", string(line), s.resp3()))
}

// appendClientLine appends the session in the form of Redis' CLIENT LIST. What only a
// server has, such as the sizes of its buffers, is 0. The connection is not idle, as
// it has just sent this command.
func (s *session) appendClientLine(b []byte, info *command.Info, frame []byte, args []resp.Arg) []byte {
	text := func(name, value string) {
		b = append(append(append(b, name...), value...), ' ')
	}
	number := func(name string, v int64) {
		b = append(strconv.AppendInt(append(b, name...), v, 10), ' ')
	}
	payload := 0
	for _, a := range args {
		payload += int(a.Len)
	}
	number("id=", s.state.ID)
	text("addr=", remoteAddress(s.fd).String())
	text("laddr=", localAddress(s.fd).String())
	number("fd=", int64(s.fd))
	text("name=", s.state.Name)
	number("age=", int64(time.Since(s.state.Created)/time.Second))
	text("idle=0 flags=", s.clientFlags())
	text("db=0 sub=0 psub=0 ssub=0", " multi=-1")
	number("qbuf=", int64(len(frame)))
	number("qbuf-free=0 argv-mem=", int64(payload))
	number("multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=", int64(s.conn.Pending()))
	text("tot-mem=0 events=r cmd=", info.Name)
	number("user=default redir=-1 resp=", int64(s.state.Proto))
	text("lib-name=", s.state.LibName)
	b = append(append(b, "lib-ver="...), s.state.LibVersion...)
	return append(b, '\n')
}

// clientFlags are Redis' letters; N stands for none.
func (s *session) clientFlags() string {
	flags := ""
	if s.state.OptIn {
		flags += "t"
	}
	if s.state.NoEvict {
		flags += "e"
	}
	if s.state.NoTouch {
		flags += "T"
	}
	if flags == "" {
		return "N"
	}
	return flags
}

// socketAddress is one end of a client connection, in the terms that Redis prints.
type socketAddress struct {
	ip   string // "" when it is not TCP
	port int
	path string // of a unix socket
}

// String is ip:port, [ip]:port, or the path of a unix socket with port 0.
func (a socketAddress) String() string {
	switch {
	case a.ip == "":
		return a.path + ":" + strconv.Itoa(a.port)
	case strings.Contains(a.ip, ":"):
		return "[" + a.ip + "]:" + strconv.Itoa(a.port)
	}
	return a.ip + ":" + strconv.Itoa(a.port)
}

func localAddress(fd int) socketAddress {
	sa, err := syscall.Getsockname(fd)
	return addressOf(sa, err)
}

func remoteAddress(fd int) socketAddress {
	sa, err := syscall.Getpeername(fd)
	return addressOf(sa, err)
}

// addressOf leaves all empty when there was an error: the connection is about to end.
func addressOf(sa syscall.Sockaddr, err error) socketAddress {
	if err != nil {
		return socketAddress{}
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return socketAddress{ip: netip.AddrFrom4(sa.Addr).String(), port: sa.Port}
	case *syscall.SockaddrInet6:
		return socketAddress{ip: netip.AddrFrom16(sa.Addr).Unmap().String(), port: sa.Port}
	case *syscall.SockaddrUnix:
		return socketAddress{path: sa.Name}
	}
	return socketAddress{}
}
