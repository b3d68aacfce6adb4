package stand

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNumbersAreFound(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"# Memory\r\nused_memory:1234\r\nused_memory_rss:9\r\n", 1234, true},
		{"used_memory: 7", 7, true},
		{"used_memory_rss:9\n", 0, false},
		{"used_memory:many\n", 0, false},
		{"", 0, false},
	} {
		n, err := number(c.text, "used_memory:")
		assert.Equal(t, c.ok, err == nil, c.text)
		assert.Equal(t, c.want, n, c.text)
	}
}
