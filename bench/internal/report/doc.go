// Package report turns the figures of a benchmark into tables, a Markdown page,
// a picture and a verdict.
//
// # Model
//
// A [Report] has scenarios; a scenario has, for each target, one [Run] per
// round. All targets run within each round, so the comparison of two targets
// is made within rounds: the ratio is the median of the rounds' ratios (median
// of pairs), which the machine's drift between rounds does not touch. All other
// figures are medians over rounds.
//
// The package reads no clock and runs nothing: everything here is a function of
// the report.
package report
