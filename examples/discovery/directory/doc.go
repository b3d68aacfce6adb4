// Package directory reads the contents of a management server from files, and
// follows them.
//
//	dependencies.yaml       what the sidecars run, by what they belong to
//	services/NAME.yaml      one service: config and endpoints
//
// A service file is an entry of static_services without the name, which is that of
// the file; .yml and .json do as well. It is checked like the file of a sidecar, so
// a problem names the file, the line and the field. dependencies.yaml is a mapping
// of lists of names, or "*" for all services. Other files, directories and names
// that begin with a dot are not looked at.
//
// # Good and bad
//
// Each file stands for itself. While one has a problem its last good content
// counts, and all others are followed. A service whose file was never good, as after a
// start, is there without config and endpoints, so that nobody takes it for removed.
// Nothing is applied before dependencies.yaml was good once. A service file that is
// deleted is a service that is removed. But when dependencies.yaml or the directory services is missing,
// the whole is taken to be away, as when a volume is not mounted, and everything
// stays as it was.
//
// A dependency on a service that has no file is a problem, but counts from when
// the file is there. So is a listener that two services of one sidecar want: the
// sidecar will run the first.
//
// # Following
//
// A [Watcher] is woken by the kernel when something in the two directories
// changes, waits until nothing has changed for a moment, and reads what is there
// then. It does not trust the events for more than that: symbolic links are
// resolved anew each time, and it looks by itself every now and then. So files
// that are written in place or renamed into place, links that are swapped
// (..data of a ConfigMap), and file systems without events all work. Files whose
// bytes did not change are not parsed again.
//
// The goroutine of [Watcher.Run] is the only one, besides one of fsnotify.
package directory
