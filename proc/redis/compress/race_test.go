//go:build race

package compress

// raceDetector tells whether the tests run under the race detector, which allocates.
const raceDetector = true
