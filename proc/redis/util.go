package redis

import "errors"

var (
	errStalled       = errors.New("the client takes no replies")
	errIdle          = errors.New("idle for too long")
	errCrossProtocol = errors.New("possible cross-protocol attack")
)

// equalFold compares with a lower case ASCII name without allocating.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
