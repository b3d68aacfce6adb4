//go:build race

package main

// raceDetector tells whether the tests run under the race detector, which makes the
// trials ten times as long.
const raceDetector = true
