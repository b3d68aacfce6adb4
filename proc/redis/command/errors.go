package command

import (
	"bytes"

	"samaritan/proc/redis/resp"
)

// maxShown is how many bytes of a name, and of all quoted arguments together, an error text shows.
const maxShown = 128

// CheckArity reports whether a request of n arguments, name included, has as many as the command
// takes. For SplitMSet it also wants every key to have a value, which Redis checks later but answers
// with the same error.
func CheckArity(i *Info, n int) bool {
	return arityFits(i.Arity, n) && (i.Split != SplitMSet || n%2 == 1)
}

func arityFits(arity, n int) bool {
	return n == arity || arity < 0 && n >= -arity
}

// AppendWrongArity appends Redis' error reply for a request that CheckArity refuses.
func AppendWrongArity(dst []byte, i *Info) []byte {
	dst = append(dst, "-ERR wrong number of arguments for '"...)
	dst = append(dst, i.Name...)
	return append(dst, "' command\r\n"...)
}

// AppendUnknown appends Redis' error reply for a request that Resolve returns nil for: of an unknown
// subcommand if its first argument is a container, else of an unknown command. As in Redis, names
// and arguments end at a NUL byte, are cut to 128 bytes, and line ends in them become blanks.
func AppendUnknown(dst []byte, frame []byte, args []resp.Arg) []byte {
	begin := len(dst)
	name := argument(frame, args[0])
	if i := Lookup(name); i != nil && i.Container() && len(args) > 1 {
		dst = appendUnknownSub(dst, name, argument(frame, args[1]))
	} else {
		dst = appendUnknownName(dst, frame, args)
	}
	blankLineEnds(dst[begin:])
	return append(dst, '\r', '\n')
}

func appendUnknownSub(dst, name, sub []byte) []byte {
	dst = append(dst, "-ERR unknown subcommand '"...)
	dst = append(dst, shown(sub, maxShown)...)
	dst = append(dst, "'. Try "...)
	for _, c := range name {
		if c >= 'a' && c <= 'z' {
			c &^= 0x20
		}
		dst = append(dst, c)
	}
	return append(dst, " HELP."...)
}

func appendUnknownName(dst, frame []byte, args []resp.Arg) []byte {
	dst = append(dst, "-ERR unknown command '"...)
	dst = append(dst, shown(argument(frame, args[0]), maxShown)...)
	dst = append(dst, "', with args beginning with: "...)
	begin := len(dst)
	for _, a := range args[1:] {
		room := maxShown - (len(dst) - begin) // quotes and blanks count, too
		if room <= 0 {
			break
		}
		dst = append(dst, '\'')
		dst = append(dst, shown(argument(frame, a), room)...)
		dst = append(dst, '\'', ' ')
	}
	return dst
}

// shown is what C's %.*s prints.
func shown(b []byte, most int) []byte {
	b = b[:min(len(b), most)]
	if n := bytes.IndexByte(b, 0); n >= 0 {
		return b[:n]
	}
	return b
}

func blankLineEnds(b []byte) {
	for i, c := range b {
		if c == '\r' || c == '\n' {
			b[i] = ' '
		}
	}
}
