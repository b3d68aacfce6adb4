package hotrestart

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// childOf is a child within this process; the other end is its parent's, which is the
// process that has started this test and lives.
func childOf(t *testing.T) (p *Predecessor, parent *wire) {
	t.Helper()
	parent, wire := connection(t)
	return &Predecessor{wire: wire, pid: os.Getppid()}, parent
}

// receives waits for a message of the kind.
func receives(t *testing.T, w *wire, k kind, body any) {
	t.Helper()
	m, err := w.receive()
	require.NoError(t, err)
	defer m.close()
	require.Equal(t, k.String(), m.kind.String())
	if body != nil {
		require.NoError(t, m.decode(body))
	}
}

func TestUnknownMessagesOfTheParent(t *testing.T) {
	keepsFiles(t)
	p, parent := childOf(t)
	require.NoError(t, parent.send(99, text{"news"}, []int{0, 1, 2}, []byte("raw")))
	require.NoError(t, parent.send(kindUnknown, unknown{kindProgress}, nil))
	require.NoError(t, parent.send(kindOffer, offer{Last: true}, nil, []byte("{}")))
	_, _, err := p.Listeners(withPatience(t))
	require.NoError(t, err)
	var u unknown
	receives(t, parent, kindUnknown, &u)
	assert.EqualValues(t, 99, u.Type)

	require.NoError(t, parent.send(kindSession, session{ID: 1}, []int{0}))
	require.NoError(t, parent.send(kindGo, nil, nil))
	_, err = p.Ready(withPatience(t))
	require.NoError(t, err)
	receives(t, parent, kindReady, nil)
	receives(t, parent, kindUnknown, &u)
	assert.Equal(t, kindSession, u.Type, "before GO")

	require.NoError(t, parent.send(99, nil, []int{0}))
	require.NoError(t, parent.send(kindFinish, nil, nil))
	require.NoError(t, p.Serve(withPatience(t), Handler{}))
	receives(t, parent, kindUnknown, &u)
	assert.EqualValues(t, 99, u.Type)
}

func TestParentThatDoesNotKnowReady(t *testing.T) {
	keepsFiles(t)
	p, parent := childOf(t)
	require.NoError(t, parent.send(kindUnknown, unknown{kindReady}, nil))
	_, err := p.Ready(withPatience(t))
	var u *UnknownError
	require.ErrorAs(t, err, &u)
	assert.Equal(t, "READY", u.Type)
}

// An end of the connection is not the parent's: it lives, and may take back all there is.
func TestParentThatClosesTheConnectionAndLives(t *testing.T) {
	for name, step := range map[string]func(p *Predecessor) error{
		"listeners": func(p *Predecessor) error { _, _, err := p.Listeners(context.Background()); return err },
		"ready":     func(p *Predecessor) error { _, err := p.Ready(context.Background()); return err },
		"taken":     func(p *Predecessor) error { return p.Taken(nil) },
		"serve":     func(p *Predecessor) error { return p.Serve(context.Background(), Handler{}) },
	} {
		t.Run(name, func(t *testing.T) {
			keepsFiles(t)
			p, parent := childOf(t)
			require.NoError(t, parent.socket.Close())
			err := step(p)
			require.ErrorContains(t, err, "lives")
			require.NotErrorIs(t, err, ErrParentGone)
		})
	}
}

// A session that could not be acknowledged is not begun: the parent lives, and has it.
func TestSessionThatCannotBeAcknowledgedIsNotBegun(t *testing.T) {
	keepsFiles(t)
	p, parent := childOf(t)
	cl := newClient(t)
	require.NoError(t, parent.send(kindSession, session{ID: 1, Service: "s"}, []int{cl.fd}))
	got := -1
	err := p.Serve(context.Background(), Handler{
		Session: func(_ string, fd int, _, _ []byte) (func(), error) {
			got = fd
			require.NoError(t, parent.socket.Close())
			return func() { t.Error("begun") }, nil
		},
	})
	require.ErrorContains(t, err, "acknowledge a session")
	require.NotErrorIs(t, err, ErrParentGone)
	(&message{fds: []int{got}}).close() // it was the handler's
	cl.isServedHere()
}

func TestGarbageOfTheParent(t *testing.T) {
	for name, send := range map[string]func(w *wire) error{
		"offer without descriptors": func(w *wire) error {
			return w.send(kindOffer, offer{Listeners: []address{{"tcp", "a"}}}, nil)
		},
		"offer with more": func(w *wire) error {
			return w.send(kindOffer, offer{Listeners: []address{{"tcp", "a"}}}, []int{0, 1})
		},
		"no json": func(w *wire) error { return w.send(kindOffer, []int{1}, []int{0}) },
		"unknown": func(w *wire) error { return w.send(kindUnknown, []int{1}, []int{0}) },
		"magic": func(w *wire) error {
			_, err := w.socket.Write(make([]byte, 100))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			keepsFiles(t)
			p, parent := childOf(t)
			require.NoError(t, send(parent))
			all, _, err := p.Listeners(withPatience(t))
			require.ErrorIs(t, err, errProtocol)
			require.Empty(t, all)
		})
	}
}

func TestSessionsThatAreNotComplete(t *testing.T) {
	keepsFiles(t)
	p, parent := childOf(t)
	require.NoError(t, parent.send(kindSession, session{ID: 1}, nil))
	require.NoError(t, parent.send(kindSession, session{ID: 2}, []int{0, 1}))
	require.NoError(t, parent.send(kindSession, session{ID: 3, State: 10}, []int{0}, []byte("short")))
	require.NoError(t, parent.send(kindFinish, nil, nil))
	require.NoError(t, p.Serve(withPatience(t), Handler{Session: func(string, int, []byte, []byte) (func(), error) {
		return nil, errors.New("called")
	}}))
	for id := range uint64(3) {
		var a answer
		receives(t, parent, kindRefused, &a)
		assert.Equal(t, answer{id + 1, "the message is not complete"}, a)
	}
}

func TestContextEndsEachStep(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	keepsFiles(t)
	p, _ := childOf(t)
	_, _, err := p.Listeners(ctx)
	require.ErrorIs(t, err, cause)
	p, _ = childOf(t)
	_, err = p.Ready(ctx)
	require.ErrorIs(t, err, cause)
	p, parent := childOf(t)
	require.ErrorIs(t, p.Serve(ctx, Handler{}), cause)
	receives(t, parent, kindEnding, nil)
	_, err = parent.receive()
	require.True(t, isEnd(err), "Serve closes the connection")
}

func TestTextsForPeopleAreCut(t *testing.T) {
	p, parent := childOf(t)
	p.Failed(strings.Repeat("x", 1<<22))
	var got text
	receives(t, parent, kindFailed, &got)
	assert.Len(t, got.Text, maxText+3)
	b, err := json.Marshal(got)
	require.NoError(t, err)
	assert.Less(t, len(b), maxBody)
}
