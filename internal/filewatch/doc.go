// Package filewatch tells when the content of a file has changed.
//
// What counts is the content, not the events: a [Watcher] keeps a sum of it, and a
// file that is touched, or written anew as it was, has not changed. The kernel's
// events (inotify) only say when to look. They are waited out: a look comes when all
// has been quiet for a moment, so that a file is not read while it is being written,
// and after a while at the latest.
//
// Directories are watched, never the file: an editor that saves by renaming puts
// another file in its place, and a watch would stay with the old one. Where the path
// leads over symbolic links, the directory of each link is watched too. So a
// ConfigMap of Kubernetes is followed, which changes all its files at once by one
// rename of the link ..data. Of what happens in these directories only the names on
// the way to the file count.
//
// A file, link or directory that is gone is no change: the last content stays known
// until there is one again. Some file systems send no events, such as those of a
// network; a directory that vanishes takes its watch with it; and the kernel may
// have no watches left. For all of these there is a poll, slow while everything is
// watched, and faster while something is not.
//
// Run is one goroutine, with one more of the library behind it. The package reads
// files and changes none.
package filewatch
