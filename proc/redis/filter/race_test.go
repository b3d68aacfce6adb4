//go:build race

package filter

// raceDetector tells whether the tests run under the race detector, which allocates.
const raceDetector = true
