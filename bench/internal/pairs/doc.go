// Package pairs compares things that run in turns, so close to each other that what else happens on the machine
// happens to all of them.
//
// Everything here is a function of its arguments.
package pairs
