package config

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// decoder copies a tree of JSON values into a message, as protojson does, but
// goes on after a problem. What is wrong is reported and left out.
type decoder struct {
	*report
}

// message sets the fields of m from v, which stands at pos.
func (d *decoder) message(path string, pos *position, v any, m protoreflect.Message) {
	object, ok := v.(map[string]any)
	if !ok {
		d.add(path, "must be a mapping, is %s", describe(v))
		return
	}
	entries := pos.byName()
	set := map[protoreflect.Name]protoreflect.Name{} // field or oneof -> the field that set it
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := d.entry(path, name, pos, entries[name])
		fd := findField(m.Descriptor(), name)
		if fd == nil {
			d.addLine(fieldPath(path, name), at.line, "unknown field%s", suggest(name, m.Descriptor()))
			continue
		}
		d.field(path, at, object[name], m, fd, set)
	}
}

// entry picks the position of a field, and reports that it is given twice. Two
// keys of the same mapping are a mistake; a key over one of a merge is not.
func (d *decoder) entry(path, name string, pos *position, found []entry) entry {
	if len(found) == 0 {
		return entry{line: pos.line}
	}
	if len(found) > 1 && pos.isOwn(found[1]) {
		d.addLine(fieldPath(path, name), found[1].line, "is given twice, first in line %d", found[0].line)
	}
	return found[0]
}

// field sets one field of m.
func (d *decoder) field(path string, at entry, v any, m protoreflect.Message, fd protoreflect.FieldDescriptor, set map[protoreflect.Name]protoreflect.Name) {
	path = fieldPath(path, string(fd.Name()))
	if d.lines[path] == 0 {
		d.lines[path] = at.line
	}
	if v == nil && !selectedByNull(fd) {
		return
	}
	if _, ok := set[fd.Name()]; ok {
		d.addLine(path, at.line, "is given twice, as %s and %s", fd.Name(), fd.JSONName())
		return
	}
	set[fd.Name()] = fd.Name()
	if one := fd.ContainingOneof(); one != nil {
		if other, ok := set[one.Name()]; ok {
			d.addLine(path, at.line, "cannot be given together with %s", other)
			return
		}
		set[one.Name()] = fd.Name()
	}
	switch {
	case fd.IsList():
		d.list(path, &at.value, v, m.Mutable(fd).List(), fd)
	case fd.Message() != nil && !isDuration(fd):
		sub := m.Mutable(fd).Message()
		if v != nil {
			d.message(path, &at.value, v, sub)
		}
	default:
		if value, ok := d.scalar(path, v, fd); ok {
			m.Set(fd, value)
		}
	}
}

// list appends the items of v. An item with a problem is appended all the same,
// so that the indexes stay those of the file.
func (d *decoder) list(path string, pos *position, v any, list protoreflect.List, fd protoreflect.FieldDescriptor) {
	items, ok := v.([]any)
	if !ok {
		d.add(path, "must be a list, is %s", describe(v))
		return
	}
	for i, item := range items {
		at := indexPath(path, i)
		d.lines[at] = pos.item(i).line
		if fd.Message() != nil {
			d.message(at, pos.item(i), item, list.AppendMutable().Message())
			continue
		}
		value, ok := d.scalar(at, item, fd)
		if !ok {
			value = list.NewElement()
		}
		list.Append(value)
	}
}

// selectedByNull tells whether a null stands for an empty message. It does for the
// checkers: which one is named says how to check. Any other field that is null is left
// out, also the options of a protocol, which have their defaults anyway.
func selectedByNull(fd protoreflect.FieldDescriptor) bool {
	one := fd.ContainingOneof()
	return one != nil && one.FullName() == checkerName
}

func findField(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	return md.Fields().ByJSONName(name)
}

// suggest names the field that a typing error may have been meant to be.
func suggest(name string, md protoreflect.MessageDescriptor) string {
	if len(name) > maxClip {
		return ""
	}
	best, distance := "", 3
	for i := range md.Fields().Len() {
		field := string(md.Fields().Get(i).Name())
		if n := editDistance(strings.ToLower(name), field); n < distance && 2*n <= len(field) {
			best, distance = field, n
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// editDistance is the Levenshtein distance of two strings in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
