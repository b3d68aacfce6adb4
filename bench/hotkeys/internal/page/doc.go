// Package page shows what the trials of package hotkey found: tables for the terminal and for docs/hotkeys.md, with
// pictures beside that.
package page
