package hotrestart

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// soon is the time that a child gets which does nothing. Nothing depends on its length.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func badChild(t *testing.T, at, do string) (Start, *console) {
	t.Helper()
	return startOf(t, "bad", envAt+"="+at, envDo+"="+do)
}

// What a child can do wrong at any time, and what the error says of it.
var misdeeds = map[string]string{
	"die":     "exit status 7",
	"half":    "exit status 7",
	"close":   "closed the connection",
	"garbage": "protocol error",
	"magic":   "protocol error",
	"body":    "above the limits",
	"json":    "protocol error",
	"raw":     "above the limits",
	"fewer":   "1 descriptors, not 3",
	"more":    "3 descriptors, not 1",
	"early":   "protocol error",
	"answer":  "protocol error",
	"ending":  "exit status 7",
	"failed":  "the cluster is not there",
	"hang":    context.DeadlineExceeded.Error(),
	"stop":    context.DeadlineExceeded.Error(),

	"failed and hang": "the cluster is not there",
}

func TestChildThatFailsBeforeItsHello(t *testing.T) {
	for do := range misdeeds {
		t.Run(do, func(t *testing.T) {
			keepsFiles(t)
			s, c := badChild(t, "start", do)
			ctx := withPatience(t)
			if do == "hang" || do == "stop" {
				ctx = soon(t)
			}
			succ, err := Begin(ctx, s)
			require.Error(t, err)
			require.Nil(t, succ)
			if do == "die" || do == "half" {
				assert.ErrorContains(t, err, "exit status 7")
			}
			assert.Empty(t, leftSockets(t, s.Dir))
			_ = c.w.Close()
			for range c.lines { // until nobody has it open any more
			}
		})
	}
}

func TestChildThatFailsBeforeItIsReady(t *testing.T) {
	for _, at := range []string{"hello", "listeners"} {
		for do, says := range misdeeds {
			t.Run(at+"/"+do, func(t *testing.T) {
				keepsFiles(t)
				s, c := badChild(t, at, do)
				succ := beginWith(t, s)
				_ = succ.Offer(listeners(t, 2), nil) // the error is AwaitReady's too
				c.await("now")
				ctx := withPatience(t)
				if do == "hang" || do == "stop" {
					ctx = soon(t)
				}
				err := succ.AwaitReady(ctx, nil)
				require.ErrorContains(t, err, says)
				if at == "listeners" {
					assert.ErrorContains(t, err, "it last said: so far so good")
				}
				requireDead(t, succ)
				<-succ.Gone()
				require.Error(t, succ.Err())
			})
		}
	}
}

func TestChildThatFailsBeforeItHasTakenOver(t *testing.T) {
	for do, says := range misdeeds {
		if do == "early" { // that is in order then
			continue
		}
		t.Run(do, func(t *testing.T) {
			keepsFiles(t)
			s, _ := badChild(t, "go", do)
			succ := beginWith(t, s)
			require.NoError(t, succ.Offer(nil, nil))
			require.NoError(t, succ.AwaitReady(withPatience(t), nil))
			ctx := withPatience(t)
			if do == "hang" || do == "stop" {
				ctx = soon(t)
			}
			require.ErrorContains(t, succ.Go(ctx, []byte("state")), says)
			requireDead(t, succ)
		})
	}
}

// The child answers three sessions, has the fourth in its hands when it goes wrong, and
// there are more behind that.
func TestSessionsComeBackFromAChildThatFails(t *testing.T) {
	for do := range misdeeds {
		if do == "ending" { // it may be alive then: see TestChildThatEndsIsNotKilled
			continue
		}
		t.Run(do, func(t *testing.T) {
			keepsFiles(t)
			s, _ := badChild(t, "fatal", do)
			s.AckTimeout = 300 * time.Millisecond
			succ := beginWith(t, s)
			require.NoError(t, succ.Offer(nil, nil))
			require.NoError(t, succ.AwaitReady(withPatience(t), nil))
			require.NoError(t, succ.Go(withPatience(t), nil))

			for i := range 3 {
				require.NoError(t, newClient(t).give(succ, "fine", nil, nil), i)
			}
			clients := make([]*client, 20)
			answers := make(chan error, 2*len(clients))
			for i := range clients {
				clients[i] = newClient(t)
				succ.Give("fatal", clients[i].fd, []byte("state"), []byte("input"), func(err error) {
					assert.ErrorIs(t, unix.Kill(succ.PID(), 0), unix.ESRCH, "the child is dead by then")
					answers <- err
				})
			}
			for range clients {
				require.ErrorIs(t, <-answers, ErrGone)
			}
			<-succ.Gone()
			require.Error(t, succ.Err())
			require.Empty(t, answers, "each is answered once")
			for _, cl := range clients {
				cl.isServedHere()
			}
		})
	}
}

// What the child has acknowledged is not taken back, however soon it dies.
func TestAcknowledgementOfAChildThatDiesCounts(t *testing.T) {
	keepsFiles(t)
	s, _ := badChild(t, "fatal", "die")
	succ := beginWith(t, s)
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	require.NoError(t, succ.Go(withPatience(t), nil))
	answers := make(chan error, 31)
	for i := range 30 {
		succ.Give("quiet", newClient(t).fd, nil, nil, func(err error) {
			if i == 0 { // hold up the reader, so that it finds the others when the child is dead
				<-succ.process.dead
			}
			answers <- err
		})
	}
	succ.Give("fatal", newClient(t).fd, nil, nil, func(err error) { answers <- err })
	for range 30 {
		require.NoError(t, <-answers)
	}
	require.ErrorIs(t, <-answers, ErrGone)
}

func TestChildThatIsGoneWhileNothingIsUnderWay(t *testing.T) {
	keepsFiles(t)
	s, c := badChild(t, "taken", "die")
	succ := beginWith(t, s)
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	require.NoError(t, succ.Go(withPatience(t), nil))
	c.await("now")
	<-succ.Gone()
	require.ErrorIs(t, succ.Err(), ErrGone)
	require.ErrorContains(t, succ.Err(), "exit status 7")
	requireDead(t, succ)
	cl := newClient(t)
	require.ErrorIs(t, cl.give(succ, "s", nil, nil), ErrGone)
	require.Error(t, succ.Update(nil))
	require.Error(t, succ.Finish())
}

// The connection is there, and nobody reads from it: what is written is not taken.
func TestChildThatTakesNothingIsKilled(t *testing.T) {
	keepsFiles(t)
	s, c := badChild(t, "taken", "stop")
	s.AckTimeout = 200 * time.Millisecond
	succ := beginWith(t, s)
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	require.NoError(t, succ.Go(withPatience(t), nil))
	c.await("now")
	require.ErrorIs(t, succ.Update(make([]byte, 10<<20)), os.ErrDeadlineExceeded)
	<-succ.Gone()
	require.ErrorIs(t, succ.Err(), os.ErrDeadlineExceeded)
	requireDead(t, succ)
}

func TestKill(t *testing.T) {
	for _, until := range []func(*testing.T, string, ...string) (*Successor, *console){begun, ready, taken} {
		t.Run("", func(t *testing.T) {
			keepsFiles(t)
			succ, _ := until(t, "good")
			succ.Kill()
			requireDead(t, succ)
			succ.Kill()
			require.ErrorIs(t, succ.Err(), errKilled)
			require.Error(t, succ.AwaitReady(withPatience(t), nil))
			require.Error(t, succ.Go(withPatience(t), nil))
		})
	}
}

func TestChildThatDoesNotComeAsThereIsNone(t *testing.T) {
	keepsFiles(t)
	s, _ := startOf(t, "good")
	s.Path = filepath.Join(s.Dir, "missing")
	_, err := Begin(withPatience(t), s)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Empty(t, leftSockets(t, s.Dir))

	s, _ = startOf(t, "good")
	s.Dir = filepath.Join(s.Dir, "missing")
	_, err = Begin(withPatience(t), s)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A type that is not known is skipped, with what it carried, and all goes on.
func TestUnknownMessagesOfTheChild(t *testing.T) {
	keepsFiles(t)
	succ, c := begun(t, "newer")
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	assert.Equal(t, "99", c.await("unknown "))
	assert.Equal(t, strconv.Itoa(int(kindOffer)), c.await("unknown "), "one that only the parent sends")
	require.NoError(t, succ.Go(withPatience(t), nil))
	cl := newClient(t)
	var unknown *UnknownError
	require.ErrorAs(t, cl.give(succ, "s", nil, nil), &unknown)
	assert.Equal(t, "SESSION", unknown.Type)
	cl.isServedHere()
	require.NoError(t, succ.Update(nil))
	require.NoError(t, succ.Finish())
	c.await("finished")
}

// A child to which half of the protocol is unknown: the restart ends, as if it had failed.
func TestChildThatDoesNotKnowTheOffer(t *testing.T) {
	keepsFiles(t)
	succ, _ := begun(t, "ignorant")
	require.NoError(t, succ.Offer(nil, nil))
	var unknown *UnknownError
	require.ErrorAs(t, succ.AwaitReady(withPatience(t), nil), &unknown)
	assert.Equal(t, "OFFER", unknown.Type)
	requireDead(t, succ)
}

// Many give at once while the child dies, at any moment: each is answered once.
func TestEachIsAnsweredOnceWhenTheChildIsKilledAnyTime(t *testing.T) {
	keepsFiles(t)
	for round := range 10 {
		succ, _ := taken(t, "good")
		cl := newClient(t)
		const givers, each = 4, 200
		var answers [givers * each]atomic.Int32
		var nils, all atomic.Int32
		enough := make(chan struct{})
		done := make(chan struct{})
		for g := range givers {
			go func() {
				for i := range each {
					n := g*each + i
					succ.Give("quiet", cl.fd, []byte(fmt.Sprint(n)), nil, func(err error) {
						answers[n].Add(1)
						if err == nil && nils.Add(1) == int32(50*round) {
							close(enough)
						}
						if all.Add(1) == givers*each {
							close(done)
						}
					})
				}
			}()
		}
		if round > 0 {
			<-enough
		}
		succ.Kill()
		<-done
		for n := range answers {
			require.EqualValues(t, 1, answers[n].Load(), n)
		}
		cl.isServedHere()
	}
}

// A child that serves and does not say anything is noticed when it is asked.
func TestChildThatHangsIsKilledWhenItIsAsked(t *testing.T) {
	keepsFiles(t)
	s, _ := startOf(t, "good")
	s.AckTimeout = time.Second
	succ := beginWith(t, s)
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	require.NoError(t, succ.Go(withPatience(t), nil))
	assert.True(t, succ.Answered(), "it was not asked")
	for range 3 {
		require.NoError(t, succ.Ask())
	}
	require.Eventually(t, succ.Answered, patience, time.Millisecond)
	require.NoError(t, unix.Kill(succ.PID(), unix.SIGSTOP))
	require.Eventually(t, func() bool {
		_ = succ.Ask() // again and again: it may still answer one before it stands still
		return isClosed(succ.Gone())
	}, patience, 10*time.Millisecond)
	require.ErrorContains(t, succ.Err(), "has not answered")
	requireDead(t, succ)
}

// One of a version that knows no such question answers all the same.
func TestOlderChildThatIsAskedLives(t *testing.T) {
	keepsFiles(t)
	succ, _ := begun(t, "newer")
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	require.NoError(t, succ.Go(withPatience(t), nil))
	require.NoError(t, succ.Ask())
	require.Eventually(t, succ.Answered, patience, time.Millisecond)
	require.NoError(t, succ.Finish())
}
