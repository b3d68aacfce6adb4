package redis

import (
	"samaritan/proc/redis/command"
)

// sendAll sends a command without keys to every master (and to the replicas too when
// the command says so). All are sent, or none.
func (s *session) sendAll(info *command.Info, frame []byte) bool {
	w := s.w
	if w.view == nil {
		s.refuse(info, w.noMap())
		return true
	}
	if s.inFlight > 0 && !info.Flags.Has(command.ReadOnly) {
		s.stop |= stopMap // what is sent on to another node meanwhile must not come there behind it
		return false
	}
	r := w.newRequest(s, info, kindSplit)
	sp := w.newSplit(r, fanoutMerge[info.Merge])
	r.split = sp
	nodes := w.view.slots.Nodes()
	for i := range nodes {
		if nodes[i].Replica && (info.Handling == command.AllMasters || !nodes[i].Healthy) {
			continue
		}
		c := w.client(w.view.nodes[i], s.lane())
		if c.resting() || c.full() {
			w.drop(r)
			if c.full() {
				return s.waitFor(c)
			}
			s.refuse(info, c.refuse())
			return true
		}
		sp.parts = append(sp.parts, part{to: c})
	}
	if len(sp.parts) == 0 {
		w.drop(r)
		s.refuse(info, w.noMap())
		return true
	}
	s.push(r)
	sp.left = len(sp.parts)
	for i := range sp.parts {
		pr := w.newRequest(nil, info, kindPart)
		pr.split, pr.part = sp, int32(i)
		c := sp.parts[i].to
		c.send(pr, c.copyIn(frame))
	}
	return true
}

var fanoutMerge = [...]merge{
	command.MergeNone:   mergeSame,
	command.MergeSame:   mergeSame,
	command.MergeSum:    mergeSum,
	command.MergeAnd:    mergeAnd,
	command.MergeConcat: mergeConcat,
	command.MergeOne:    mergeOne,
	command.MergeFound:  mergeFound,
}
