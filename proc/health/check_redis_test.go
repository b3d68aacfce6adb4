package health

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

const secret = "opensesame"

const (
	ping     = "*1\r\n$4\r\nPING\r\n"
	auth     = "*2\r\n$4\r\nAUTH\r\n$10\r\n" + secret + "\r\n"
	authUser = "*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$10\r\n" + secret + "\r\n"
)

func TestRedisTakesPongForAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		username, password string
		server             func(net.Conn)
	}{
		"no password":               {"", "", dialogue(step{"+PONG\r\n", ping})},
		"a user without a password": {"user", "", dialogue(step{"+PONG\r\n", ping})},
		"password":                  {"", secret, dialogue(step{"+OK\r\n+PONG\r\n", auth + ping})},
		"user and password":         {"user", secret, dialogue(step{"+OK\r\n+PONG\r\n", authUser + ping})},
		"closes behind it":          {"", "", sayAndClose("+PONG\r\n")},
		"LF alone":                  {"", "", say("+PONG\n")},
	} {
		t.Run(name, func(t *testing.T) {
			took, err := talk(t, redisCheck(c.username, c.password), c.server)
			require.NoError(t, err)
			require.Zero(t, took)
		})
	}
}

func TestRedisErrorsAreFailuresWithTheirText(t *testing.T) {
	for name, c := range map[string]struct {
		password string
		reply    string
		want     string
	}{
		"NOAUTH":          {"", "-NOAUTH Authentication required.\r\n", "PING: NOAUTH Authentication required."},
		"LOADING":         {"", "-LOADING Redis is loading the dataset in memory\r\n", "PING: LOADING Redis is loading the dataset in memory"},
		"MASTERDOWN":      {secret, "+OK\r\n-MASTERDOWN Link with MASTER is down\r\n", "PING: MASTERDOWN Link with MASTER is down"},
		"WRONGPASS":       {secret, "-WRONGPASS invalid username-password pair\r\n", "AUTH: WRONGPASS invalid username-password pair"},
		"echoes":          {secret, "-ERR unknown command 'AUTH', with args beginning with: 'opensesame' \r\n", "AUTH: ERR (the text is withheld"},
		"echoes a part":   {secret, "-ERR unknown command 'AUTH', with args beginning with: 'opense\r\n", "AUTH: ERR (the text is withheld"},
		"echoes only":     {secret, "-opensesame\r\n", "AUTH: an error (the text is withheld"},
		"no error either": {secret, "+opensesame\r\n", "an unexpected reply, which seems to have the password in it"},
		"another reply":   {"", "$4\r\nPONG\r\n", `PING: unexpected reply "$4"`},
		"another text":    {"", "+PONGO\r\n", `PING: unexpected reply "+PONGO"`},
		"control bytes":   {"", "-ERR a\tb\x1b[31mc\xff\r\n", "PING: ERR a b [31mc?"},
		"no end of line":  {"", "+" + strings.Repeat("P", maxRedisLine), "read the reply: the reply's line is longer than 4096 bytes"},
		"just an end":     {"", "\r\n", `unexpected reply ""`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := talk(t, redisCheck("", c.password), say(c.reply))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "opense")
		})
	}
	_, err := talk(t, redisCheck("", ""), sayAndClose("+PON"))
	require.ErrorContains(t, err, "unexpected EOF")
}

func TestRedisChecksRealServers(t *testing.T) {
	open := testredis.StartServer(t)
	locked := testredis.StartServer(t, "--requirepass", secret)
	locked.MustDo(t, "ACL", "SETUSER", "checker", "on", ">other-word", "+ping")
	locked.MustDo(t, "ACL", "SETUSER", "mute", "on", ">third-word", "-@all")
	for name, c := range map[string]struct {
		server             *testredis.Node
		username, password string
		want               string // "" when it passes
	}{
		"open":                  {open, "", "", ""},
		"password not needed":   {open, "", secret, "AUTH: ERR AUTH <password> called without any password configured"},
		"password":              {locked, "", secret, ""},
		"password missing":      {locked, "", "", "PING: NOAUTH Authentication required."},
		"password wrong":        {locked, "", "wrong-" + secret, "AUTH: WRONGPASS"},
		"user":                  {locked, "checker", "other-word", ""},
		"user's password wrong": {locked, "checker", secret, "AUTH: WRONGPASS"},
		"user that may not":     {locked, "mute", "third-word", "PING: NOPERM"},
		"default user by name":  {locked, "default", secret, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewChecker(redisCheck(c.username, c.password))
			require.NoError(t, err)
			err = k.Check(t.Context(), c.server.Addr())
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), secret)
		})
	}

	t.Run("AUTH under another name", func(t *testing.T) {
		renamed := testredis.StartServer(t, "--rename-command", "AUTH", "NOT_AUTH")
		k, err := NewChecker(redisCheck("", secret))
		require.NoError(t, err)
		require.ErrorContains(t, k.Check(t.Context(), renamed.Addr()), "AUTH: ERR (the text is withheld")
	})
}

func TestRedisServerThatLoadsItsDataFails(t *testing.T) {
	node := testredis.StartServer(t)
	node.MustDo(t, "DEBUG", "POPULATE", 200_000)
	node.MustDo(t, "CONFIG", "SET", "key-load-delay", 50, "loading-process-events-interval-bytes", 1024)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		_, _ = node.Do("DEBUG", "RELOAD") // ends with the server
	}()
	k, err := NewChecker(redisCheck("", ""))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		err := k.Check(t.Context(), node.Addr())
		return err != nil && strings.HasPrefix(err.Error(), "PING: LOADING")
	}, 20*time.Second, 5*time.Millisecond)
	node.Kill()
	<-loaded
	require.NoError(t, os.RemoveAll(filepath.Join(node.Dir(), "dump.rdb")))
}

func FuzzRedisReply(f *testing.F) {
	for _, seed := range []string{"+PONG\r\n", "-ERR opensesame\r\n", "+OK\r\n+PONG\r\n", "\n", "-\n", "+OPEN opensesame", "$4\r\nPONG\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k := newRedisChecker(nil, "", secret)
		err := k.answer(bufio.NewReaderSize(bytes.NewReader(data), maxRedisLine), "PONG")
		line, _, whole := bytes.Cut(data, []byte("\n"))
		passes := whole && string(bytes.TrimSuffix(line, []byte("\r"))) == "+PONG"
		require.Equal(t, passes, err == nil, "%q", data)
		if err != nil {
			require.NotContains(t, err.Error(), secret)
			require.Less(t, len(err.Error()), 1000)
		}
	})
}
