package tcp

import (
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestPipesAreBoundedAndReused(t *testing.T) {
	before := descriptors(t)
	var ps pipes
	var taken []*pipe
	for one := ps.get(1); one != nil; one = ps.get(1) {
		taken = append(taken, one)
	}
	assert.Len(t, taken, pipesMost)
	ps.discard(&stream{pipe: taken[0]}) // with something in it
	again := ps.get(1)
	assert.NotNil(t, again)
	taken[0] = again
	for _, one := range taken {
		ps.put(one)
	}
	assert.Len(t, ps.idle, pipesIdle)
	assert.Equal(t, pipesIdle, ps.count)
	last := ps.idle[pipesIdle-1]
	assert.Same(t, last, ps.get(1))
	ps.put(last)
	ps.close()
	assert.LessOrEqual(t, descriptors(t), before+2)
}

// TestStreamsGoOnWithoutPipes runs bulk data through a loop that has no pipes to lend.
func TestStreamsGoOnWithoutPipes(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	done := make(chan struct{})
	first := p.loops.first()
	first.post(func() { first.pipes.count = pipesMost; close(done) })
	<-done
	const size = 16 << 20
	c := p.dial()
	go func() {
		_ = send(c, noise(6, size))
		_ = c.CloseWrite()
	}()
	want, _ := digest(noise(6, size))
	got, err := digest(c)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestPipesAreGivenBack(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	for range 3 {
		c := p.dial()
		go func() {
			_ = send(c, noise(7, 4<<20))
			_ = c.CloseWrite()
		}()
		_, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
	}
	p.becomes("downstream.cx_active", 0)
	idle := make(chan [2]int)
	first := p.loops.first()
	first.post(func() { idle <- [2]int{len(first.pipes.idle), first.pipes.count} })
	got := <-idle
	assert.Equal(t, got[0], got[1], "all of them are here")
	assert.NotZero(t, got[0], "splice was used")
}

func TestOneThatCannotHavePipesIsTriedAgainLater(t *testing.T) {
	var had syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had))
	var ps pipes
	now := int64(1)
	few := had
	few.Cur = 3
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	none := ps.get(now)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had))
	assert.Nil(t, none)
	assert.Nil(t, ps.get(now+1))
	one := ps.get(now + int64(time.Second))
	require.NotNil(t, one)
	ps.put(one)
	ps.close()
}
