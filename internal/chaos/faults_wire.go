package chaos

import (
	"context"
	"time"

	"samaritan/internal/testredis"
)

// wireTime is how long a fault of connections lasts.
const wireTime = 1200 * time.Millisecond

// wireFaults happen to the connections between the proxy and one node, which
// itself is well.
func wireFaults() []Fault {
	return []Fault{
		{Name: "reset", Inflict: resetAll, Help: "All connections to one master are reset, ten times a second."},
		{Name: "cut", Inflict: cutReplies, Help: "Every connection to one master is reset in the middle of a reply, ten times a second."},
		{Name: "black-hole", Inflict: blackHole, Help: "One master is reachable, but nothing gets through in either direction, for longer than the request timeout."},
		{Name: "hiccup", Inflict: hiccup, Help: "Nothing gets through to one master, again and again, each time for less than the request timeout."},
		{Name: "refuse", Inflict: refuse, Help: "One master's connections are reset, and new ones are refused."},
		{Name: "delay", Inflict: delay, Help: "The replies of one master arrive 50 ms late."},
	}
}

// resetAll resets connections at once.
func resetAll(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		return e.until(ctx, wireTime, func() error { r.Reset(); return pause(ctx, 100*time.Millisecond) })
	})
}

// cutReplies cuts connections in the middle of replies.
func cutReplies(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		return e.until(ctx, wireTime, func() error { r.CutMidReply(e.Rand); return pause(ctx, 100*time.Millisecond) })
	})
}

// blackHole lets nothing through.
func blackHole(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		r.Hang()
		return pause(ctx, RequestTimeout+e.Scaled(RequestTimeout))
	})
}

// hiccup lets nothing through for moments.
func hiccup(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		return e.until(ctx, wireTime, func() error {
			r.Hang()
			if err := pause(ctx, time.Duration(1+e.Rand.IntN(200))*time.Millisecond); err != nil {
				return err
			}
			if err := r.Restore(); err != nil {
				return err
			}
			return pause(ctx, 50*time.Millisecond)
		})
	})
}

// refuse refuses connections.
func refuse(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		r.Refuse()
		r.Reset()
		return e.Wait(ctx, wireTime)
	})
}

// delay delays replies.
func delay(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(_ *testredis.Node, r *Relay) error {
		r.Delay(50 * time.Millisecond)
		return e.Wait(ctx, wireTime)
	})
}
