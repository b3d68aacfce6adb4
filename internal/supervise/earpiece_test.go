package supervise

import (
	"bytes"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listening is an earpiece with a pipe to it, and with its log.
func listening(t *testing.T) (e *earpiece, say *os.File, log *slog.Logger, logged *bytes.Buffer) {
	t.Helper()
	read, say, err := os.Pipe()
	require.NoError(t, err)
	s := newSupervisor(nil)
	require.NoError(t, s.listen(read))
	t.Cleanup(func() { _ = say.Close(); s.pipe.close() })
	logged = &bytes.Buffer{}
	return s.pipe, say, slog.New(slog.NewTextHandler(logged, nil)), logged
}

func (e *earpiece) awaitWord(t *testing.T) {
	t.Helper()
	select {
	case <-e.said:
	case <-time.After(patience):
		require.Fail(t, "nothing is heard")
	}
}

func TestAnnouncementsAreReadHoweverTheyAreCut(t *testing.T) {
	const text = "main 17\nmain 4194304\nnonsense\nmain 2\n"
	for cut := range len(text) {
		e, say, log, logged := listening(t)
		var pids []int
		for _, part := range []string{text[:cut], text[cut:]} {
			_, err := say.WriteString(part)
			require.NoError(t, err)
			pids = append(pids, e.read(log)...)
		}
		assert.Equal(t, []int{17, 4194304, 2}, pids, "cut at %d", cut)
		assert.Equal(t, 1, strings.Count(logged.String(), "\n"), logged.String())
		assert.False(t, e.silent)
		require.NoError(t, say.Close())
		assert.Empty(t, e.read(log))
		assert.True(t, e.silent)
	}
}

func TestEachWordWakesTheLoop(t *testing.T) {
	e, say, log, _ := listening(t)
	for i := range 100 {
		_, err := say.WriteString("main " + strconv.Itoa(i+2) + "\n")
		require.NoError(t, err)
		for heard := false; !heard; { // a wake may have been for what was read before
			e.awaitWord(t)
			heard = len(e.read(log)) == 1
		}
	}
	require.NoError(t, say.Close())
	for !e.silent {
		e.awaitWord(t)
		e.read(log)
	}
}

func TestLineWithoutEndIsNotKept(t *testing.T) {
	e, say, log, logged := listening(t)
	for range 100 {
		_, err := say.WriteString(strings.Repeat("main 1", 100))
		require.NoError(t, err)
		assert.Empty(t, e.read(log))
		assert.LessOrEqual(t, len(e.rest), maxLine)
	}
	_, err := say.WriteString("\nmain 5\n")
	require.NoError(t, err)
	assert.Equal(t, []int{5}, e.read(log))
	assert.LessOrEqual(t, logged.Len(), 1000)
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"main 17", "main 1", "main -1", "main 99999999999", "main", "", "main  17", "MAIN 17"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pid, err := parseLine(text)
		if err != nil {
			return
		}
		digits, _ := strings.CutPrefix(text, "main ")
		n, err := strconv.Atoi(digits)
		assert.NoError(t, err)
		assert.Equal(t, n, pid)
		assert.Greater(t, pid, 1)
	})
}
