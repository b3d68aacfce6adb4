package health

import "context"

// tcpChecker connects, and that is all.
type tcpChecker struct{ dial dialFunc }

// Check implements [Checker].
func (k tcpChecker) Check(ctx context.Context, address string) error {
	c, err := dialConn(ctx, k.dial, address)
	if err != nil {
		return err
	}
	// What the close says of the connection is no matter of the endpoint.
	_ = c.Close()
	return nil
}
