package eventloop

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPostedFunctionsRunInOrder(t *testing.T) {
	const goroutines, each = 16, 2000
	l, _ := run(t)
	var seen [goroutines]int
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				if !l.Post(func() {
					if seen[g] != i {
						t.Errorf("goroutine %d: got %d, want %d", g, i, seen[g])
					}
					seen[g]++
				}) {
					t.Error("refused")
				}
			}
		})
	}
	wg.Wait()
	on(t, l, func() {
		for g := range seen {
			require.Equal(t, each, seen[g])
		}
	})
}

// Each wakeup is for a loop that has just gone to sleep, or is about to.
func TestNoWakeupIsLost(t *testing.T) {
	l, _ := run(t)
	done := make(chan struct{}, 1)
	for range 20_000 {
		require.True(t, l.Post(func() { done <- struct{}{} }))
		<-done // the test's own time limit ends this if a wakeup is lost
	}
}

func TestSelfPostingFunctionDoesNotStarveConnections(t *testing.T) {
	l, _ := run(t)
	ours, theirs := socketpair(t)
	p := &peer{TB: t, fd: theirs}
	defer p.close()
	got := make(chan struct{})
	var spin func()
	spin = func() { l.Post(spin) }
	on(t, l, func() {
		_, err := l.Add(ours, &fake{data: func(b []byte) int { close(got); return len(b) }})
		require.NoError(t, err)
		spin()
	})
	p.send("x")
	wait(t, got)
}

func TestPostAndAddAfterStop(t *testing.T) {
	l, stop := run(t)
	stop()
	require.False(t, l.Post(func() { t.Error("ran") }))
	ours, theirs := socketpair(t)
	defer func() { _ = syscall.Close(ours); _ = syscall.Close(theirs) }()
	_, err := l.Add(ours, &fake{})
	require.ErrorIs(t, err, ErrClosed)
}

// Whatever Post has accepted runs, however close to the end.
func TestAcceptedPostsRunWhenTheLoopStops(t *testing.T) {
	for range 50 {
		l, stop := run(t)
		var accepted, ran atomic.Int64
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				<-begin
				for l.Post(func() { ran.Add(1) }) {
					accepted.Add(1)
				}
			})
		}
		close(begin)
		stop()
		wg.Wait()
		require.Equal(t, accepted.Load(), ran.Load())
	}
}

func TestPostedBeforeRunAndEndedContext(t *testing.T) {
	l, err := New()
	require.NoError(t, err)
	ran := 0
	require.True(t, l.Post(func() { ran++ }))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, l.Run(ctx))
	require.Equal(t, 1, ran)
}

func TestCloseOfALoopThatNeverRan(t *testing.T) {
	before := openFDs(t)
	l, err := New()
	require.NoError(t, err)
	require.Equal(t, before+2, openFDs(t))
	wake := l.mail.wakeFD
	l.Close()
	l.Close()
	require.Equal(t, before, openFDs(t))

	// The number may belong to somebody else by now.
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(p[0]); _ = syscall.Close(p[1]) }()
	require.Contains(t, []int{p[0], p[1]}, wake, "the test needs the same descriptor")
	require.False(t, l.Post(func() {}))
	l.Close()
	for _, fd := range p {
		n, err := syscall.Read(fd, make([]byte, 8))
		require.Equal(t, syscall.EAGAIN, err, "read %d bytes", n)
	}
}

// echo answers with what it gets and closes at the end of it.
type echo struct {
	conn   *Conn
	closed func(error)
}

func (e *echo) Data(b []byte) int { e.conn.Append(b); return len(b) }
func (e *echo) EOF()              { e.conn.CloseFlushed() }
func (e *echo) Flushed()          {}
func (e *echo) Closed(err error) {
	if e.closed != nil {
		e.closed(err)
	}
}

func (l *Loop) addEcho(fd int, closed func(error)) error {
	e := &echo{closed: closed}
	c, err := l.Add(fd, e)
	e.conn = c
	return err
}

func TestStopClosesEverything(t *testing.T) {
	before := openFDs(t)
	l, stop := run(t)
	reasons := map[error]int{}
	var peers []int
	for range 50 {
		ours, theirs := socketpair(t)
		peers = append(peers, theirs)
		on(t, l, func() { require.NoError(t, l.addEcho(ours, func(err error) { reasons[err]++ })) })
	}
	_, err := syscall.Write(peers[0], []byte("x"))
	require.NoError(t, err)
	on(t, l, func() {
		// Callbacks at the end may use the loop, in vain.
		ours, theirs := socketpair(t)
		peers = append(peers, theirs)
		require.NoError(t, l.addEcho(ours, func(error) {
			_, err := l.Add(0, &fake{})
			require.ErrorIs(t, err, ErrClosed)
			require.False(t, l.Post(func() {}))
			l.After(0, func() { t.Error("a timer ran after the end") })
			for i := range l.slots {
				if c := l.slots[i].conn; c != nil {
					c.AppendString("x")
				}
			}
			reasons[nil]++
		}))
	})
	require.Equal(t, 51, l.Conns())
	stop()
	require.Zero(t, l.Conns())
	require.Equal(t, map[error]int{ErrClosed: 50, nil: 1}, reasons)
	for _, fd := range peers {
		require.NoError(t, syscall.Close(fd))
	}
	require.Equal(t, before, openFDs(t), "descriptors leak")
}

// Sequences of connections that come and go leave nothing behind.
func TestChurnLeavesNothingBehind(t *testing.T) {
	before := openFDs(t)
	r := newRig(t)
	for i := range 500 {
		h := &fake{data: func([]byte) int { return 0 }}
		c, p := r.conn(h)
		p.send(fmt.Sprint("request ", i))
		r.step()
		c.AppendString("reply")
		switch i % 4 {
		case 0:
			c.CloseFlushed()
		case 1:
			c.Close(nil)
		case 2:
			h.eof = c.CloseFlushed
			p.endWrite()
		case 3:
			c.Pause()
			r.step()
			p.close()
		}
		r.until("closed", func() bool { return len(h.closes) == 1 })
		p.close()
	}
	r.step()
	require.Equal(t, before+2, openFDs(t))
	require.LessOrEqual(t, len(r.l.slots), 2)
	require.LessOrEqual(t, r.l.pool.count[0], 4)
}
