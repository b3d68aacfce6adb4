// Package findings tells what a benchmark of a part of the proxy has found: on the terminal, and in a document between two
// markers.
//
// A [Page] is made of the results, and has all that is written: tables, the bounds of package outcome, and when and
// where that was measured.
package findings
