package redis

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// recordingNode is a node that keeps what it is asked for, and gives the replies it was told.
type recordingNode struct {
	*scriptedNode

	mu      sync.Mutex // guards the following
	got     [][]string
	replies map[string]string // by command; OK when there is none
}

func startRecording(t *testing.T) *recordingNode {
	t.Helper()
	r := &recordingNode{replies: map[string]string{}}
	r.scriptedNode = startScripted(t, func(_ *scriptedNode, args []string) (string, bool) {
		if ownCommands[strings.ToUpper(args[0])] {
			if strings.EqualFold(args[0], "hello") {
				return "%1\r\n+proto\r\n:3\r\n", true
			}
			return "", true
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, args)
		return r.replies[strings.ToUpper(args[0])], true
	})
	return r
}

// says makes raw the reply to a command.
func (r *recordingNode) says(command, raw string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replies[command] = raw
}

// take returns the commands since the last call.
func (r *recordingNode) take() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := slices.Clone(r.got)
	r.got = nil
	return got
}

// escaped is a text as it has to be in the double quotes of an inline command.
func escaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}
