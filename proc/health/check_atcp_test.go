package health

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATCPDoesItsActionsInOrder(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for name, c := range map[string]struct {
		steps  []step
		server func(net.Conn)
	}{
		"nothing to do":          {nil, say("")},
		"empty parts":            {[]step{{"", ""}, {"a", ""}, {"", "b"}}, dialogue(step{"b", "a"})},
		"one after the other":    {[]step{{"a", "b"}, {"c", "d"}}, dialogue(step{"b", "a"}, step{"d", "c"})},
		"greeting first":         {[]step{{"", "220 "}, {"QUIT\r\n", "221"}}, dialogue(step{"220 ", ""}, step{"221 bye", "QUIT\r\n"})},
		"more than expected":     {[]step{{"", "220"}}, say("220 ready and much more")},
		"two answers in one":     {[]step{{"a", "b"}, {"c", "d"}}, say("bd")},
		"a long answer":          {[]step{{"", long}}, say(long)},
		"an answer bit by bit":   {[]step{{"", "ok"}}, drip("ok")},
		"binary":                 {[]step{{"\x00\xff", "\x00\x01"}}, dialogue(step{"\x00\x01", "\x00\xff"})},
		"closes when it is over": {[]step{{"", "bye"}}, sayAndClose("bye")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := talk(t, atcp(c.steps...), c.server)
			require.NoError(t, err)
		})
	}
}

func TestATCPErrorsTellTheActionAndWhatCame(t *testing.T) {
	for name, c := range map[string]struct {
		steps  []step
		server func(net.Conn)
		want   string
	}{
		"another answer":           {[]step{{"", "220"}}, say("554 no"), `action 1: expected "220", got "554"`},
		"in the second action":     {[]step{{"a", "b"}, {"c", "d"}}, dialogue(step{"b", "a"}, step{"x", "c"}), `action 2: expected "d", got "x"`},
		"not at the beginning":     {[]step{{"", "220"}}, say(" 220"), `expected "220", got " 22"`},
		"ends early":               {[]step{{"", "220"}}, sayAndClose("22"), `expected "220", got "22": unexpected EOF`},
		"too slow":                 {[]step{{"", "long answer"}}, drip("long answer"), `expected "long answer", got "lo`},
		"the rest of a long one":   {[]step{{"", strings.Repeat("a", 100)}}, say("b"), `and 36 more bytes, got "b"`},
		"repeats what it was told": {[]step{{"AUTH opensesame\r\n", "+OK" + strings.Repeat(".", 99)}}, say("-ERR no such command: 'AUTH opensesame'" + strings.Repeat(".", 99)), "got 102 bytes that repeat some that were sent"},
		"has in common what was expected": {
			[]step{{"GET / HTTP/1.1\r\nCookie: opensesame\r\n\r\n", "HTTP/1.1 200"}},
			say("HTTP/1.1 500"), `expected "HTTP/1.1 200", got "HTTP/1.1 500"`,
		},
		"repeats more than was expected": {
			[]step{{"HTTP opensesame\r\n", "HTTP 200 OK 123"}}, say("HTTP opensesame"), "got 15 bytes that repeat some that were sent",
		},
		"has in common what is not shown": {
			[]step{{"opensesame", strings.Repeat(".", maxShown) + "opensesame"}},
			say(strings.Repeat(".", maxShown-8) + "opensesame"), "got 66 bytes that repeat some that were sent",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := talk(t, atcp(c.steps...), c.server)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "opensesame")
		})
	}
}
