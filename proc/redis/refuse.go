package redis

import "samaritan/proc/redis/command"

// refusalReasons say why a command is refused, behind "is not supported yet: ".
var refusalReasons = [...]string{
	command.ReasonBlocking:    "it would block the connection to the node that all clients share",
	command.ReasonPubSub:      "publish/subscribe needs a connection to a node for this client alone",
	command.ReasonTransaction: "a transaction needs a connection to a node for this client alone",
	command.ReasonCrossNode:   "it has to ask several nodes and to put their answers together",
}

// refuseUnsupported answers a command that cannot be served, with the reason.
func (s *session) refuseUnsupported(info *command.Info) {
	switch info.Name {
	case "exec":
		s.refuse(info, "ERR EXEC without MULTI")
	case "discard":
		s.refuse(info, "ERR DISCARD without MULTI")
	case "unwatch": // nothing is watched
		s.w.stats.count(info).total++
		s.ok()
	case "multi":
		s.state.Refusing = true
		fallthrough
	default:
		s.refuse(info, refusalText(info))
	}
}

// refusalText is the error for a command that is refused, or that is routed but would
// block in this form.
func refusalText(info *command.Info) string {
	reason := info.Reason
	if reason == command.ReasonNone && info.Flags.Has(command.Blocking) {
		reason = command.ReasonBlocking
	}
	if reason == command.ReasonAdmin {
		return "ERR samaritan: '" + info.Name + "' is not allowed: it is about a single server, ask the node itself"
	}
	text := "ERR samaritan: '" + info.Name + "' is not supported yet"
	if int(reason) < len(refusalReasons) && refusalReasons[reason] != "" {
		text += ": " + refusalReasons[reason]
	}
	return text
}

// refusing is asked about every command after a MULTI that was refused, up to the
// EXEC or DISCARD that ends it: a client that has not looked at the error yet must
// not have its commands executed one by one. False means that the command is handled
// as always.
func (s *session) refusing(info *command.Info) (answered bool) {
	switch info.Name {
	case "reset", "quit":
		return false
	case "exec":
		s.state.Refusing = false
		s.refuse(info, "EXECABORT Transaction discarded because of previous errors.")
	case "discard":
		s.state.Refusing = false
		s.w.stats.count(info).total++
		s.ok()
	default:
		s.refuse(info, "ERR samaritan: not executed: MULTI was refused on this connection and is not over; send DISCARD")
	}
	return true
}
