package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// handle decides what becomes of a request. False means that it could not be taken
// up: s.stop says why, and it comes again.
func (s *session) handle(frame []byte, args []resp.Arg) bool {
	skip := s.state.SkipNext
	s.mute = s.state.ReplyOff || skip
	s.state.SkipNext = false
	if s.take(frame, args) {
		if s.held != nil || s.made != nil {
			s.dropHeld()
		}
		return true
	}
	s.state.SkipNext = skip
	return false
}

func (s *session) take(frame []byte, args []resp.Arg) bool {
	w := s.w
	info := command.Lookup(argument(frame, args, 0))
	if info != nil && len(info.Subcommands) > 0 && len(args) > 1 {
		info = command.Resolve(frame, args)
	}
	if info == nil {
		return s.unknown(frame, args)
	}
	if s.state.Refusing && s.refusing(info) {
		return true
	}
	if !command.CheckArity(info, len(args)) {
		w.stats.countError(info)
		s.reply(command.AppendWrongArity(w.tmp[:0], info))
		return true
	}
	if info.Handling == command.Local {
		if s.inFlight > 0 && needsQuiet[info.ID] {
			s.stop |= stopMap
			return false
		}
		w.stats.count(info).total++
		s.local(info, frame, args)
		return true
	}
	if s.view != w.view && !s.follow() {
		return false
	}
	if (s.heavy || s.replySize >= heavyReply || len(frame) >= heavyFrame) && !s.changeLane(len(frame)) {
		return false
	}
	switch info.Handling {
	case command.Route:
		return s.route(info, frame, args)
	case command.AnyNode:
		return s.sendAny(info, frame, args)
	case command.AllMasters, command.AllNodes:
		return s.sendAll(info, frame)
	case command.Scan:
		return s.scan(info, frame, args)
	default:
		s.refuseUnsupported(info)
		return true
	}
}

func argument(frame []byte, args []resp.Arg, i int) []byte {
	a := args[i]
	return frame[a.Off : a.Off+a.Len]
}

func (s *session) unknown(frame []byte, args []resp.Arg) bool {
	if isCrossProtocol(argument(frame, args, 0)) {
		s.w.stats.downstream.protocolErrors++
		s.w.proc.warn.Warn("possible cross-protocol attack: an HTTP request was sent to a Redis port; connection closed", "client", s.state.ID)
		s.stop |= stopEnd // nothing behind it runs, not even what has arrived
		s.conn.Close(errCrossProtocol)
		return true
	}
	s.w.stats.unknown++
	s.reply(command.AppendUnknown(s.w.tmp[:0], frame, args))
	return true
}

// isCrossProtocol recognises what a browser would send, as Redis does.
func isCrossProtocol(name []byte) bool {
	return equalFold(name, "post") || equalFold(name, "host:")
}

// route sends a request to the node that owns the slot of its keys, or in parts to
// several nodes.
func (s *session) route(info *command.Info, frame []byte, args []resp.Arg) bool {
	if info.SimpleKey > 0 {
		key := argument(frame, args, int(info.SimpleKey))
		slot := cluster.Slot(key)
		if len(s.wholes) > 0 && s.mustWaitKey(info, slot, key) {
			return false
		}
		return s.sendSlot(info, slot, frame, args, nil, nil)
	}
	w := s.w
	keys, err := info.Keys(w.keys[:0], frame, args)
	w.keys = keys
	if info.Blocks(frame, args) {
		s.refuseUnsupported(info)
		return true
	}
	if err != nil || len(keys) == 0 {
		// Where the keys are cannot be told, as the arguments are wrong: any node
		// knows the error that is due.
		return s.sendAny(info, frame, args)
	}
	slot := cluster.Slot(argument(frame, args, keys[0]))
	for _, k := range keys[1:] {
		if cluster.Slot(argument(frame, args, k)) == slot {
			continue
		}
		if info.Split == command.SplitNone {
			s.refuse(info, "CROSSSLOT Keys in request don't hash to the same slot")
			return true
		}
		return s.sendSplit(info, frame, args, keys)
	}
	if len(keys) == 1 && len(s.wholes) == 0 {
		return s.sendSlot(info, slot, frame, args, keys, nil)
	}
	set := w.keySetOf(info, frame, args, keys)
	if len(s.wholes) > 0 && s.mustWait(slot, set) {
		return false
	}
	return s.sendSlot(info, slot, frame, args, keys, set)
}

// sendSlot sends the whole request to the owner of a slot. keys is nil when the only one
// is where SimpleKey says, and set when there is one only.
func (s *session) sendSlot(info *command.Info, slot uint16, frame []byte, args []resp.Arg, keys []int, set *keySet) bool {
	if s.w.unsettled != nil && s.mustWaitAlone(slot) {
		return false
	}
	c, replica, problem := s.w.pick(info, slot, s.lane())
	if problem != "" {
		s.refuse(info, problem)
		return true
	}
	if c.full() {
		return s.waitFor(c)
	}
	if s.held != nil || s.w.filters.WantsRequest(info, frame, args) {
		var goOn, taken bool
		if frame, args, goOn, taken = s.filter(info, frame, args, keys); !goOn {
			return taken
		}
	}
	r := s.w.newRequest(s, info, kindPlain)
	r.slot = slot
	r.flags |= reqRouted
	if replica {
		r.flags |= reqReplica
	}
	s.push(r)
	if set != nil && len(set.hashes) > 1 {
		s.hold(r, set)
	}
	sent := s.frameFor(c, frame)
	if s.w.filters.WantsSent(len(keys), sent.Len) {
		s.showSent(r, c, sent.Bytes(), args, keys)
	}
	c.send(r, sent)
	return true
}

// sendAny sends a request that has no keys to some node.
func (s *session) sendAny(info *command.Info, frame []byte, args []resp.Arg) bool {
	c, problem := s.w.anyClient(s.lane())
	if problem != "" {
		s.refuse(info, problem)
		return true
	}
	if c.full() {
		return s.waitFor(c)
	}
	if s.held != nil || s.w.filters.WantsRequest(info, frame, args) {
		var goOn, taken bool
		if frame, _, goOn, taken = s.filter(info, frame, args, nil); !goOn {
			return taken
		}
	}
	r := s.w.newRequest(s, info, kindPlain)
	s.push(r)
	c.send(r, s.frameFor(c, frame))
	return true
}

// waitFor holds the session back until the node has answered some of what it has.
func (s *session) waitFor(c *client) bool {
	s.w.stats.upstream.windowFull++
	s.w.proc.warn.Warn("a node has too much outstanding, its clients wait", "node", c.node.addr, "requests", c.fifo.len(), "bytes", c.bytes)
	s.stop |= stopWindow
	c.waiting = append(c.waiting, s)
	return false
}

// frameFor makes the frame being handled the client's own: large ones by reference,
// others as the one copy that a request costs.
func (s *session) frameFor(c *client, frame []byte) eventloop.Ref {
	if s.frameIn != nil {
		return s.frameIn.Share(frame)
	}
	return c.copyIn(frame)
}
