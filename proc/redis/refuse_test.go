package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/command"
)

const notOver = "-ERR samaritan: not executed: MULTI was refused on this connection and is not over; send DISCARD\r\n"

func TestRefusedMultiRefusesWhatFollows(t *testing.T) {
	proxy, node := localBackend(t)
	refused := "-" + refusalText(command.Lookup([]byte("multi"))) + "\r\n"
	tests := map[string]struct{ lines, want string }{
		"exec":    {"MULTI\nSET k v\nPING\nMULTI\nEXEC\nEXEC\nPING", refused + strings.Repeat(notOver, 3) + "-EXECABORT Transaction discarded because of previous errors.\r\n-ERR EXEC without MULTI\r\n+PONG\r\n"},
		"discard": {"MULTI\nSET k v\nDISCARD\nDISCARD\nPING", refused + notOver + "+OK\r\n-ERR DISCARD without MULTI\r\n+PONG\r\n"},
		"reset":   {"MULTI\nSET k v\nRESET\nPING", refused + notOver + "+RESET\r\n+PONG\r\n"},
		"quit":    {"MULTI\nSET k v\nQUIT\nPING", refused + notOver + "+OK\r\n"},
		"unknown": {"MULTI\nnothing\nGET\nDISCARD", refused + "-ERR unknown command 'nothing', with args beginning with: \r\n" + notOver + "+OK\r\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, script(t, proxy, tt.lines))
			v, err := node.Do("EXISTS", "k")
			require.NoError(t, err)
			assert.EqualValues(t, 0, v, "nothing of it may be executed")
		})
	}
}

func TestRefusalsGiveTheReason(t *testing.T) {
	proxy, _ := localBackend(t)
	tests := map[string]string{
		"BLPOP k 0":                 "'blpop' is not supported yet: it would block",
		"WAIT 0 0":                  "'wait' is not supported yet: it would block",
		"XREAD BLOCK 0 STREAMS k 0": "'xread' is not supported yet: it would block",
		"SUBSCRIBE c":               "'subscribe' is not supported yet: publish/subscribe needs",
		"WATCH k":                   "'watch' is not supported yet: a transaction needs",
		"MEMORY STATS":              "'memory|stats' is not supported yet: it has to ask several nodes",
		"SAVE":                      "'save' is not allowed",
		"CONFIG SET maxmemory 1":    "'config|set' is not allowed",
		"CONFIG REWRITE":            "'config|rewrite' is not allowed",
		"CLUSTER FORGET x":          "'cluster|forget' is not allowed",
	}
	for line, want := range tests {
		out := script(t, proxy, line)
		assert.True(t, strings.HasPrefix(out, "-ERR samaritan: "+want), "%s: %s", line, out)
		assert.Equal(t, 1, strings.Count(out, "\r\n"), line)
	}
}

func TestEveryRefusedCommandHasAText(t *testing.T) {
	for id := range command.Count() {
		i := command.ByID(uint16(id))
		if i.Handling == command.Refused {
			text := refusalText(i)
			assert.Contains(t, text, ": '"+i.Name+"' is not")
			assert.Greater(t, len(text), len("ERR samaritan: '' is not supported yet")+len(i.Name), i.Name)
		}
	}
}
