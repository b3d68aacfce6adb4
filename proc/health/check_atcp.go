package health

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"samaritan/api/hc"
)

// atcpChecker does its actions one after the other on one connection: it sends the
// bytes of the one part, and then receives those of the other. An empty part is
// skipped.
//
// What it sends may be a login, so no error shows it, nor a reply that repeats it. What
// is expected to come back is no secret.
type atcpChecker struct {
	dial    dialFunc
	actions []*hc.ATCPChecker_Action
}

// Check implements [Checker].
func (k atcpChecker) Check(ctx context.Context, address string) error {
	c, err := dialConn(ctx, k.dial, address)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, action := range k.actions {
		if err := k.act(c, action); err != nil {
			return fmt.Errorf("action %d: %w", i+1, err)
		}
	}
	return nil
}

// act does one action.
func (k atcpChecker) act(c io.ReadWriter, action *hc.ATCPChecker_Action) error {
	if len(action.GetSend()) > 0 {
		if _, err := c.Write(action.GetSend()); err != nil {
			return fmt.Errorf("send %d bytes: %w", len(action.GetSend()), err)
		}
	}
	return k.expect(c, action.GetExpect())
}

// expect reads until all of want has come, or something else. It reads no byte more
// than want has: what follows belongs to the next action.
func (k atcpChecker) expect(r io.Reader, want []byte) error {
	var buf [1024]byte
	for done := 0; done < len(want); {
		n, err := r.Read(buf[:min(len(buf), len(want)-done)])
		if !bytes.Equal(buf[:n], want[done:done+n]) {
			return fmt.Errorf("expected %s, got %s", shown(want), k.shown(append(want[:done:done], buf[:n]...), want))
		}
		if done += n; err != nil && done < len(want) {
			return fmt.Errorf("expected %s, got %s: %w", shown(want), shown(want[:done]), early(err))
		}
	}
	return nil
}

// shown quotes what was received, if it does not repeat what was sent. What the error
// shows of the bytes that were wanted is no secret.
func (k atcpChecker) shown(got, want []byte) string {
	for _, action := range k.actions {
		if quotes(got, string(action.GetSend()), head(want)) {
			return fmt.Sprintf("%d bytes that repeat some that were sent", len(got))
		}
	}
	return shown(got)
}
