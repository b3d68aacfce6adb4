//go:build race

package redis

// raceDetector tells whether the tests run under the race detector, which takes ten
// times the time and memory.
const raceDetector = true
