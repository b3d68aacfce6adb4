package dynamic

import "time"

// timing are the pauses and limits in time. Tests shorten them.
type timing struct {
	// The first change waits so long for others to be applied together with.
	coalesce time.Duration
	// An Apply that failed, save by a name of another source, is tried again.
	reapply time.Duration

	// Pauses between two connections. They are doubled, and shortened by up to a half
	// so that many clients of one server do not come back at the same instant.
	backoffMin, backoffMax time.Duration
	// A connection that stood so long was a good one: the pauses begin anew.
	proven time.Duration
	// For dialling, the TLS handshake and the first frame of the server together.
	connect time.Duration
	// Streams that stood so long after the server has answered are not going to be
	// refused.
	settle time.Duration

	// When nothing came for quiet, the server is asked, and has to answer within
	// answer. See session.watch.
	quiet, answer time.Duration

	// The least time between two writes of the state file.
	save time.Duration
	// From a write that failed to the next try.
	saveAgain time.Duration
	// The same while a predecessor may still have the lock of the file.
	saveYield time.Duration
	// While the server is away, one line says so at these intervals. That the reason is
	// another one now is said earlier, but not within this time.
	remind, reason time.Duration
}

func defaultTiming() timing {
	return timing{
		coalesce:   10 * time.Millisecond,
		reapply:    5 * time.Second,
		backoffMin: 100 * time.Millisecond,
		backoffMax: 30 * time.Second,
		proven:     10 * time.Second,
		connect:    5 * time.Second,
		settle:     500 * time.Millisecond,
		quiet:      10 * time.Second,
		answer:     8 * time.Second,
		save:       time.Second,
		saveAgain:  10 * time.Second,
		saveYield:  time.Second,
		remind:     5 * time.Minute,
		reason:     10 * time.Second,
	}
}

// The pace of building and applying.
const (
	applyBurst = 500 * time.Millisecond
	applyRest  = 2 * time.Second
)

// Limits of what a server can make this process remember or do.
const (
	maxMessage   = 64 << 20  // bytes of one message
	maxServices  = 100_000   // dependencies
	maxEndpoints = 1_000_000 // of one service
	maxListed    = 1000      // names in each list of a Status
	maxLogged    = 20        // names in an attribute of a log line
	maxText      = 600       // bytes of an error that is shown
	maxName      = 64        // bytes of a name that is shown

	maxState = 512 << 20 // bytes of the state file
	maxToken = 16 << 10  // bytes of the token file
	maxPEM   = 16 << 20  // bytes of a file of certificates or a key

	// A request to subscribe has at most so many names; servers take 4 MiB by default,
	// and a name has at most 255 bytes.
	maxNames = 1000
	// A server that does not read what it is sent is given up when so many names wait.
	maxQueued = 4 * maxServices
)
