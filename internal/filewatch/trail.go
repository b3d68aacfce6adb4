package filewatch

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may lead over; the kernel's own limit.
const maxLinks = 40

// dirID tells a directory from another that took its place.
type dirID struct{ dev, ino uint64 }

// trail is the way from a path to its file.
type trail struct {
	dirs     map[string]dirID // to be watched
	names    map[string]bool  // full paths in them: the links on the way, and its end
	complete bool             // the way leads to something
}

func (t *trail) equal(o *trail) bool {
	return t.complete == o.complete && maps.Equal(t.dirs, o.dirs) && maps.Equal(t.names, o.names)
}

// follow goes the way of an absolute path. Where it breaks off, the trail ends with the
// name that is missing, in the last directory that is there.
func follow(path string) *trail {
	t := &trail{dirs: map[string]dirID{}, names: map[string]bool{}}
	dir, rest, links := "/", parts(path), 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // dir has no links in it
			dir = filepath.Dir(dir)
			continue
		}
		at := filepath.Join(dir, name)
		info, err := os.Lstat(at)
		switch {
		case err != nil:
			t.add(dir, at)
			return t
		case info.Mode()&os.ModeSymlink != 0:
			t.add(dir, at)
			target, err := os.Readlink(at)
			if links++; err != nil || links > maxLinks {
				return t
			}
			if filepath.IsAbs(target) {
				dir = "/"
			}
			rest = append(parts(target), rest...)
		case len(rest) == 0:
			t.add(dir, at)
			t.complete = true
		default:
			dir = at
		}
	}
	return t
}

// parts are the names of a path that lead anywhere.
func parts(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll("/"+path+"/", "/./", "/"), func(r rune) bool { return r == '/' })
}

func (t *trail) add(dir, name string) {
	t.names[name] = true
	if _, ok := t.dirs[dir]; ok {
		return
	}
	var id dirID
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			id = dirID{st.Dev, st.Ino}
		}
	}
	t.dirs[dir] = id
}
