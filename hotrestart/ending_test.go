package hotrestart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// SIGTERM for a child that has taken over: it tells the parent, and drains in peace.
func TestChildThatEndsIsNotKilled(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "drains")
	mine := newClient(t)
	require.NoError(t, mine.give(succ, "s", nil, nil))
	mine.leave()
	mine.hears("s  0\n")

	require.NoError(t, unix.Kill(succ.PID(), unix.SIGTERM))
	<-succ.Ending()
	<-succ.Gone()
	require.ErrorIs(t, succ.Err(), ErrGone)
	c.await("draining")
	requireAlive(t, succ)
	mine.echoes("still served")
	late := newClient(t)
	require.ErrorIs(t, late.give(succ, "s", nil, nil), ErrGone)
	late.isServedHere()
	require.Error(t, succ.Update(nil))
	require.Error(t, succ.Finish())
	requireAlive(t, succ)
	mine.echoes("still served")
}

// Sessions that are on their way when the child ends come back, or are its own: each is
// served by one, and the child is not killed.
func TestSessionsOnTheirWayToAChildThatEnds(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "drains")
	clients := make([]*client, 300)
	answers := make([]chan error, len(clients))
	for i := range clients {
		clients[i], answers[i] = newClient(t), make(chan error, 2)
	}
	given := make(chan struct{})
	go func() {
		defer close(given)
		for i, cl := range clients {
			if i == 100 {
				_ = unix.Kill(succ.PID(), unix.SIGTERM)
			}
			succ.Give("s", cl.fd, nil, nil, func(err error) { answers[i] <- err })
		}
	}()
	moved := 0
	for i, cl := range clients {
		if err := <-answers[i]; err == nil {
			cl.leave()
			cl.hears("s  0\n")
			cl.echoes("there")
			moved++
		} else {
			cl.isServedHere()
		}
	}
	<-given
	<-succ.Gone()
	t.Logf("%d of %d sessions had moved", moved, len(clients))
	assert.NotZero(t, moved)
	c.await("draining")
	requireAlive(t, succ)
}

// The child refuses what comes after it has said that it ends and before it closes.
func TestChildThatEndsRefuses(t *testing.T) {
	keepsFiles(t)
	succ, c := taken(t, "ends slowly")
	require.NoError(t, newClient(t).give(succ, "quiet", nil, nil))
	require.NoError(t, succ.Update([]byte("end")))
	<-succ.Ending()
	cl := newClient(t)
	var refused *RefusedError
	require.ErrorAs(t, cl.give(succ, "s", nil, nil), &refused)

	// One that was sent before the parent knew.
	got := make(chan error, 1)
	succ.mu.Lock()
	succ.lastID++
	id := succ.lastID
	succ.given[id] = gift{done: func(err error) { got <- err }}
	succ.mu.Unlock()
	require.NoError(t, succ.wire.send(kindSession, session{ID: id, Service: "s"}, []int{cl.fd}))
	require.ErrorAs(t, <-got, &refused)
	assert.Equal(t, "this process ends", refused.Reason)
	cl.isServedHere()
	require.NoError(t, succ.Finish())
	c.await("served <nil>")
}
