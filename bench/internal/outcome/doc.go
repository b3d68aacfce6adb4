// Package outcome is what became of the bounds that a benchmark was measured against.
//
// Everything here is a function of its arguments.
package outcome
