// Package page writes what the trials of package hotkey found: as tables for the terminal, and into
// docs/hotkeys.md between two markers, with pictures beside it.
package page
