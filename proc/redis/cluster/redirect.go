package cluster

// Kind says what an error reply means to somebody who routes commands.
type Kind uint8

// The kinds of error replies, told by their first word.
const (
	// KindOther is every error that is an answer to the command, for the client to see.
	KindOther Kind = iota
	// KindMoved (MOVED): the slot belongs to another node, for good.
	KindMoved
	// KindAsk (ASK): the slot is leaving; this one command goes, behind ASKING, to the new node.
	KindAsk
	// KindTryAgain (TRYAGAIN): the keys of a command are on both sides of a migration.
	KindTryAgain
	// KindClusterDown (CLUSTERDOWN): the node serves nothing, or not this slot.
	KindClusterDown
	// KindLoading (LOADING): the node reads its data set from disk.
	KindLoading
	// KindReadOnly (READONLY): a write came to a replica.
	KindReadOnly
	// KindMasterDown (MASTERDOWN): a replica lost its master and may not serve stale data.
	KindMasterDown
	// KindNoAuth (NOAUTH): the connection has not logged in.
	KindNoAuth
	// KindCrossSlot (CROSSSLOT): the keys of a command are in different slots.
	KindCrossSlot
)

// The first words, as they stand in a reply.
const (
	wordMoved       = "MOVED"
	wordAsk         = "ASK"
	wordTryAgain    = "TRYAGAIN"
	wordClusterDown = "CLUSTERDOWN"
	wordLoading     = "LOADING"
	wordReadOnly    = "READONLY"
	wordMasterDown  = "MASTERDOWN"
	wordNoAuth      = "NOAUTH"
	wordCrossSlot   = "CROSSSLOT"
)

var kindWords = [...]string{
	KindOther:       "OTHER",
	KindMoved:       wordMoved,
	KindAsk:         wordAsk,
	KindTryAgain:    wordTryAgain,
	KindClusterDown: wordClusterDown,
	KindLoading:     wordLoading,
	KindReadOnly:    wordReadOnly,
	KindMasterDown:  wordMasterDown,
	KindNoAuth:      wordNoAuth,
	KindCrossSlot:   wordCrossSlot,
}

// String returns the first word of the error as Redis writes it, "OTHER" for KindOther.
func (k Kind) String() string {
	if int(k) < len(kindWords) {
		return kindWords[k]
	}
	return kindWords[KindOther]
}

// kindsByLetter holds the kinds whose word starts with a letter, by the low five bits of the letter.
// What else falls into those bits fails the comparison of the whole word.
var kindsByLetter = [32][2]Kind{
	'A' & 31: {KindAsk},
	'C' & 31: {KindClusterDown, KindCrossSlot},
	'L' & 31: {KindLoading},
	'M' & 31: {KindMoved, KindMasterDown},
	'N' & 31: {KindNoAuth},
	'R' & 31: {KindReadOnly},
	'T' & 31: {KindTryAgain},
}

// ErrorKind classifies an error reply by its first word. line is the reply with or without the
// leading '-' and the line end, or the text of a RESP3 bulk error. The first letter alone rejects
// nearly all errors that are an answer to the command.
func ErrorKind(line []byte) Kind {
	line = trimDash(line)
	if len(line) == 0 {
		return KindOther
	}
	kinds := &kindsByLetter[line[0]&31]
	switch {
	case kinds[0] == KindOther:
		return KindOther
	case isFirstWord(line, kindWords[kinds[0]]):
		return kinds[0]
	case kinds[1] != KindOther && isFirstWord(line, kindWords[kinds[1]]):
		return kinds[1]
	}
	return KindOther
}

// isFirstWord reports whether line is word, or starts with it and a space or line end.
func isFirstWord(line []byte, word string) bool {
	return len(line) >= len(word) && string(line[:len(word)]) == word &&
		(len(line) == len(word) || line[len(word)] <= ' ')
}

func trimDash(line []byte) []byte {
	if len(line) > 0 && line[0] == '-' {
		return line[1:]
	}
	return line
}

// Redirect is a parsed MOVED or ASK error. Host refers to the bytes of the reply and lives as long
// as they do.
type Redirect struct {
	Kind Kind   // KindMoved or KindAsk
	Slot uint16 // 0..Slots-1
	Port uint16 // 1..65535
	Host []byte // an address without brackets, or a name; empty: the host of the node that answered
}

// ParseRedirect parses "-MOVED 3999 127.0.0.1:6381" or "-ASK ...", with or without the leading '-'
// and the line end. ok is false for other errors and for a redirect that makes no sense: a slot or
// port out of range, something that cannot be a host, words too many.
//
// Redis writes IPv6 addresses without brackets, so the last colon ends the host. It leaves the host
// empty when the endpoint is unknown, and writes "?" for a node that should have announced a host
// name and did not; both come out as an empty Host.
func ParseRedirect(line []byte) (r Redirect, ok bool) {
	line = trimEnd(trimDash(line))
	switch {
	case len(line) > len(wordMoved) && string(line[:len(wordMoved)+1]) == wordMoved+" ":
		r.Kind = KindMoved
		line = line[len(wordMoved)+1:]
	case len(line) > len(wordAsk) && string(line[:len(wordAsk)+1]) == wordAsk+" ":
		r.Kind = KindAsk
		line = line[len(wordAsk)+1:]
	default:
		return Redirect{}, false
	}
	slot, n := leadingNumber(line)
	if n == 0 || slot >= Slots || n >= len(line) || line[n] != ' ' {
		return Redirect{}, false
	}
	host, port, ok := splitEndpoint(line[n+1:])
	if !ok {
		return Redirect{}, false
	}
	r.Slot, r.Host, r.Port = uint16(slot), host, port
	return r, true
}

// AppendAddr appends the dialable host:port of the target, an IPv6 address in brackets. asked is the
// host:port of the node that sent the redirect; its host stands in for an empty one.
func (r Redirect) AppendAddr(dst []byte, asked string) []byte {
	switch {
	case len(r.Host) == 0:
		dst = append(dst, asked[:max(0, lastColon(asked))]...)
	case lastColon(r.Host) >= 0:
		dst = append(dst, '[')
		dst = append(dst, r.Host...)
		dst = append(dst, ']')
	default:
		dst = append(dst, r.Host...)
	}
	dst = append(dst, ':')
	return appendPort(dst, r.Port)
}
