package supervise

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Most daemons have no supervisor, and do not notice.
func TestWithoutASupervisorNothingHappens(t *testing.T) {
	require.NoError(t, Announce(os.Getpid()))
	cmd := exec.Command("/bin/true")
	require.NoError(t, Pass(cmd))
	assert.Empty(t, cmd.ExtraFiles)
	assert.Nil(t, cmd.Env)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, Lost(ctx), context.Canceled)
	assert.False(t, Wanted(false))
	assert.True(t, Wanted(true))
	t.Setenv(supervisedEnv, "1")
	assert.False(t, Wanted(true))
}

func TestWaitForTheSupervisorsEndCanBeGivenUp(t *testing.T) {
	s := raise(t)
	p := s.enters()
	p.do("lost briefly")
	p.do("lost briefly")
	p.tell("lost")
	s.signal(9)
	p.done()
	p.tell("exit 0")
	p.leaves()
}

func TestDescriptorThatIsNoPipeIsRefused(t *testing.T) {
	t.Setenv(supervisedEnv, "1")
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	for value, want := range map[string]string{
		"x":                             "invalid syntax",
		"1000000":                       "bad file descriptor",
		strconv.Itoa(int(file.Fd())):    "is not a pipe",
		"-1":                            "bad file descriptor",
		"99999999999999999999999999999": "out of range",
	} {
		t.Setenv(pipeEnv, value)
		f, err := openLine()
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, pipeEnv)
		assert.Nil(t, f)
	}
}

func TestSetEnvReplaces(t *testing.T) {
	old := []string{"A=1", "AB=2", "B", "A=3", "C="}
	assert.Equal(t, []string{"AB=2", "B", "A=x", "C=y"}, setEnv(old, "A=x", "C=y"))
	assert.Equal(t, []string{"A=1", "AB=2", "B", "A=3", "C="}, old)
}
