package health

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/api/hc"
)

// loginOf is what a check sends as its login.
func loginOf(user string) string {
	return string(appendLogin(nil, 1, greeting{"", clientProtocol41 | clientSecureConnection | clientPluginAuth}, user))
}

// denied is a packet that refuses a login.
func denied(seq byte) string {
	return framed(seq, "\xff\x15\x04#28000Access denied for user 'checker'@'h' (using password: NO)")
}

func TestMySQLLogsInAndOut(t *testing.T) {
	quit := string(quitPacket)
	for name, steps := range map[string][]step{
		"at once": {
			{modern, ""},
			{framed(2, okReply), loginOf("checker")},
			{"", quit},
		},
		"by another method": {
			{modern, ""},
			{framed(2, "\xfecaching_sha2_password\x00scramble scramble....\x00"), loginOf("checker")},
			{framed(4, okReply), "\x00\x00\x00\x03"},
			{"", quit},
		},
		"which says that it goes well": {
			{modern, ""},
			{framed(2, "\xfecaching_sha2_password\x00scramble scramble....\x00"), loginOf("checker")},
			{framed(4, "\x01\x03") + framed(5, okReply), "\x00\x00\x00\x03"},
			{"", quit},
		},
	} {
		t.Run(name, func(t *testing.T) {
			heard := ""
			took, err := talk(t, mysqlCheck("checker"), func(c net.Conn) {
				dialogue(steps...)(c)
				heard = "all"
			})
			require.NoError(t, err)
			require.Zero(t, took)
			require.Equal(t, "all", heard)
		})
	}
}

func TestMySQLLoginFails(t *testing.T) {
	old := greeting10("3.23", clientLongPassword)
	more := strings.Repeat(framed(3, "\x01\x03"), 20)
	for name, c := range map[string]struct {
		script []step
		want   string
	}{
		"denied":                {[]step{{modern, ""}, {denied(2), loginOf("checker")}}, `log in as "checker": error 1045: Access denied for user 'checker'@'h' (using password: NO)`},
		"wants a password":      {[]step{{modern, ""}, {framed(2, "\x01\x04"), loginOf("checker")}}, "the server wants a password"},
		"wants an old password": {[]step{{modern, ""}, {framed(2, "\xfe"), loginOf("checker")}}, "a password as before MySQL 4.1"},
		"too many connections":  {[]step{{framed(0, "\xff\x10\x04Too many connections"), ""}}, "greeting: error 1040: Too many connections"},
		"host is blocked":       {[]step{{framed(0, "\xff\x69\x04Host 'h' is blocked because of many connection errors"), ""}}, "error 1129: Host 'h' is blocked"},
		"too old":               {[]step{{old, ""}}, "does not speak the protocol of MySQL 4.1"},
		"no end":                {[]step{{modern, ""}, {more, loginOf("checker")}}, "no end of it after 8 packets"},
		"another packet":        {[]step{{modern, ""}, {framed(2, "\x07"), loginOf("checker")}}, "unexpected packet that begins with 0x7"},
		"silence":               {[]step{{modern, ""}}, "log in: read the answer: "},
		"an oversized packet":   {[]step{{modern, ""}, {"\xff\xff\xff\x02", loginOf("checker")}}, "a packet of 16777215 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := talk(t, mysqlCheck("checker"), dialogue(c.script...))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestMySQLWithoutAUserTakesTheGreeting has servers that greet well, and then do
// anything.
func TestMySQLWithoutAUserTakesTheGreeting(t *testing.T) {
	for name, c := range map[string]struct {
		script func(net.Conn)
		took   time.Duration
	}{
		"refuses the login": {dialogue(step{modern, ""}, step{denied(2), loginOf(stranger)}), 0},
		"lets anybody in":   {dialogue(step{modern, ""}, step{framed(2, okReply), loginOf(stranger)}, step{"", string(quitPacket)}), 0},
		"ends":              {sayAndClose(modern), 0},
		"says no more":      {say(modern), goodbyeTime},
		"talks nonsense":    {say(modern + "nonsense"), 0},
		"is very old":       {say(greeting10("3.23", clientLongPassword)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			took, err := talk(t, mysqlCheck(""), c.script)
			require.NoError(t, err)
			require.Equal(t, c.took, took)
		})
	}
	for name, reply := range map[string]string{
		"in the greeting": framed(0, "\xff\x10\x04Too many connections"),
		"behind it":       modern + framed(2, "\xff\x10\x04#08004Too many connections"),
	} {
		_, err := talk(t, mysqlCheck(""), say(reply))
		require.ErrorContains(t, err, "error 1040: Too many connections", name)
	}
}

// checkOf makes one check of a kind.
func checkOf(t *testing.T, c *hc.HealthCheck, address string) error {
	t.Helper()
	k, err := NewChecker(c)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
	defer cancel()
	return k.Check(ctx, address)
}
