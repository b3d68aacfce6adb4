package dynamic

import "time"

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
	err      string // why the last connection ended
	said     bool
	again    time.Time // when it is said again
	attempts int
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

// isAway notes that a session has ended. What happens for the first time is logged,
// and from then on that it is still so, now and then.
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
	if c.away.said && time.Now().Before(c.away.again) {
		return
	}
	text := "the management server cannot be reached, all goes on as it was"
	if lost {
		text = "the connection to the management server was lost, all goes on as it was"
	}
	c.log.Warn(text, "endpoint", c.o.Source.Endpoint, "error", c.away.err, "services", len(c.applied), "attempts", c.away.attempts)
	c.away.said, c.away.again = true, time.Now().Add(c.timing.remind)
}
