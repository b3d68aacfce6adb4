// Package examples has no code. Its tests hold the files for systemd, Docker and Kubernetes to
// the program: the flags, paths, ports and times in them fit it, and one another.
package examples
