package minicluster

import (
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// keysOf returns the keys that decide where a command belongs. It has none for
// a command that is unknown or malformed: miniredis has the error for that.
func keysOf(cmd string, args []string) []string {
	frame, words := lay(cmd, args)
	info := command.Resolve(frame, words)
	if info == nil {
		return nil
	}
	indices, err := info.Keys(nil, frame, words)
	if err != nil {
		return nil
	}
	keys := make([]string, len(indices))
	for i, index := range indices {
		keys[i] = args[index-1]
	}
	return keys
}

// lay puts the words of a command into one frame, as package command reads it.
func lay(cmd string, args []string) ([]byte, []resp.Arg) {
	var frame []byte
	words := make([]resp.Arg, 0, len(args)+1)
	add := func(word string) {
		words = append(words, resp.Arg{Off: uint32(len(frame)), Len: uint32(len(word))})
		frame = append(frame, word...)
	}
	add(cmd)
	for _, arg := range args {
		add(arg)
	}
	return frame, words
}
