package config

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/api/common"
)

// Whether two addresses clash does not depend on their order.
func TestListenersClashAsInTheKernel(t *testing.T) {
	tests := []struct {
		a, b  string
		clash bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"127.0.0.1", "::ffff:127.0.0.1", true},
		{"127.0.0.1", "0.0.0.0", true},
		{"127.0.0.1", "::", true},
		{"127.0.0.1", "::1", false},
		{"0.0.0.0", "0.0.0.0", true},
		{"0.0.0.0", "::", true},
		{"0.0.0.0", "::1", false},
		{"::1", "0:0::1", true},
		{"::1", "::2", false},
		{"::1", "::", true},
		{"::", "::", true},
	}
	for _, tt := range tests {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			l := newListeners()
			assert.Empty(t, l.add(&common.Address{Ip: pair[0], Port: 80}, "first"))
			assert.Empty(t, l.add(&common.Address{Ip: pair[1], Port: 81}, "other port"))
			clash := l.add(&common.Address{Ip: pair[1], Port: 80}, "second")
			assert.Equal(t, tt.clash, clash == "first", "%s after %s", pair[1], pair[0])
		}
	}
}

func TestListenersOnAnyFreePortNeverClash(t *testing.T) {
	l := newListeners()
	for range 2 {
		assert.Empty(t, l.add(&common.Address{Ip: "0.0.0.0"}, "x"))
	}
}
