// Package outcome is what a benchmark of a part of the proxy has to say in the end: which bounds it was
// measured against, which of them were kept, and when and where that was.
//
// Everything but [Here] is a function of its arguments.
package outcome
