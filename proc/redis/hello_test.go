package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProtocolFollowsWhatTheNodesCanDo(t *testing.T) {
	tests := []struct {
		version string
		proto   int64
		want    string
	}{
		{"", 2, ""},
		{"", 3, ""},
		{"7.0.15", 3, ""},
		{"6.0.0", 3, ""},
		{"10.1", 3, ""},
		{"unstable", 3, ""},
		{"5.0.14", 2, ""},
		{"5.0.14", 3, "NOPROTO samaritan: the nodes of the cluster are Redis 5.0.14, which does not speak RESP3"},
		{"5.0.14", 4, "NOPROTO unsupported protocol version"},
		{"7.0.15", 1, "NOPROTO unsupported protocol version"},
	}
	for _, tt := range tests {
		top := newTopology(nil, nil, nil)
		if tt.version != "" {
			top.version.Store(&tt.version)
		}
		s := &session{w: &worker{proc: &Proc{topology: top}}}
		assert.Equal(t, tt.want, s.refuseProtocol(tt.proto), "%s %d", tt.version, tt.proto)
		if tt.version == "" {
			assert.Equal(t, unknownVersion, s.serverVersion())
		}
	}
}

func TestPrintable(t *testing.T) {
	assert.True(t, printable(nil))
	assert.True(t, printable([]byte("!~azAZ09-")))
	for _, bad := range []string{" ", "a b", "\n", "\x00", "\x7f", "é"} {
		assert.False(t, printable([]byte(bad)), "%q", bad)
	}
}
