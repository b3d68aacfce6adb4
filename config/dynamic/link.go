package dynamic

import (
	"strings"
	"time"
)

// link is how the connection is.
type link struct {
	connected bool
	since     time.Time    // of connected
	current   time.Time    // when what is known could last be said to be current, while not connected
	err       string       // why the last connection ended, or was not made
	updated   [3]time.Time // the last message of each stream

	connects, failures, losses uint64
}

// away is what has been logged of a server that is not there. The loop owns it.
type away struct {
	err      string          // why the last connection ended
	said     map[string]bool // the kinds of reasons that were given
	soonest  time.Time       // when another one is given
	again    time.Time       // when it is said that it is still so
	attempts int
}

// maxReasons is how many different reasons are given while a server is away, before they
// wait for the next reminder.
const maxReasons = 8

// isNews tells whether a reason, or that it is still so, is to be logged now.
func (a *away) isNews() bool {
	now := time.Now()
	switch {
	case len(a.said) == 0, !now.Before(a.again):
		return true
	case now.Before(a.soonest):
		return false
	}
	return len(a.said) < maxReasons && !a.said[kindOf(a.err)]
}

func (a *away) noteSaid(t *timing) {
	if a.said == nil {
		a.said = map[string]bool{}
	}
	a.said[kindOf(a.err)] = true
	a.soonest, a.again = time.Now().Add(t.reason), time.Now().Add(t.remind)
}

// kindOf is a reason without its numbers, which are ports mostly.
func kindOf(reason string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, reason)
}

func (l *link) breakOff() {
	l.connected, l.since, l.current = false, time.Now(), time.Now()
}

// notConnected notes the end of the last connection.
func (c *Client) notConnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link.connected {
		c.link.breakOff()
	}
}

func (c *Client) setLink(l link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
}

func (c *Client) isConnected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.connected
}

// isThere notes that the session stands.
func (c *Client) isThere() {
	c.mu.Lock()
	c.link.connected, c.link.since = true, time.Now()
	c.link.connects++
	c.mu.Unlock()
	c.log.Info("connected to the management server", "endpoint", c.o.Source.Endpoint, "failed_attempts", c.away.attempts)
	c.away = away{}
}

// isAway notes that a session has ended. Each reason is logged when it comes up, and
// from then on that it is still so, now and then.
func (c *Client) isAway() {
	c.mu.Lock()
	lost := c.link.connected
	c.link.err = c.away.err
	if lost {
		c.link.losses++
		c.link.breakOff()
	} else {
		c.link.failures++
	}
	c.mu.Unlock()
	if !lost {
		c.away.attempts++
	}
	if !c.away.isNews() {
		return
	}
	text := "the management server cannot be reached, all goes on as it was"
	if lost {
		text = "the connection to the management server was lost, all goes on as it was"
	}
	c.log.Warn(text, "endpoint", c.o.Source.Endpoint, "error", c.away.err, "services", len(c.applied), "attempts", c.away.attempts)
	c.away.noteSaid(&c.timing)
}
