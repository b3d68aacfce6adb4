// Package page shows what the trials found: tables for the terminal and for docs/benchmark-tcp.md.
package page
