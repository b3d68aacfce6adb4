package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v2"
)

// position is where a YAML node stands, and where the nodes in it stand. The
// YAML library keeps its nodes to itself, but lets a value decode itself and
// names the line when that fails: so each position first tries to decode into
// something that nothing decodes into.
//
// A merge key (<<) brings in the entries of an anchor further up. They are
// among the fields here, with the lines of the anchor.
type position struct {
	line   int     // from 1, 0 when not known
	size   int     // bytes of all keys and values in it, as often as they are used
	fields []entry // of a mapping, ordered by line and name
	items  []position
}

// entry is one key of a mapping, and its value.
type entry struct {
	name  string
	line  int
	value position
}

var (
	errEmpty   = errors.New("is empty")
	errNullKey = errors.New("a key must not be null")
	errAliases = fmt.Errorf("is larger than %d bytes when its aliases are written out", maxExpanded)
)

// maxExpanded bounds what aliases may make of a small file.
const maxExpanded = 2 * MaxSize

// locate returns the positions of the only document in data.
func locate(data []byte) (*position, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	p := &position{}
	if err := dec.Decode(p); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errEmpty
		}
		return nil, err
	}
	second := &position{}
	if err := dec.Decode(second); err == nil {
		return nil, atLine(second.line, errors.New("has more than one document"))
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if p.line == 0 {
		return nil, errEmpty
	}
	if p.size > maxExpanded {
		return nil, errAliases
	}
	return p, nil
}

// UnmarshalYAML implements yaml.Unmarshaler. It is not called for a null, which
// leaves the zero value.
func (p *position) UnmarshalYAML(unmarshal func(any) error) error {
	line, leaf, err := lookAt(unmarshal)
	p.line = line
	if err != nil {
		return err
	}
	if leaf {
		var text string
		err = unmarshal(&text)
		p.size = len(text)
		return err
	}
	var fields map[key]position
	if err = unmarshal(&fields); err == nil {
		return p.setFields(fields)
	} else if !isMismatch(err) {
		return err
	}
	if err = unmarshal(&p.items); isMismatch(err) {
		return nil
	}
	for i := range p.items {
		p.size += p.items[i].size
	}
	return err
}

func (p *position) setFields(fields map[key]position) error {
	for k, v := range fields {
		if k.keyText == nil {
			return atLine(p.line, errNullKey)
		}
		p.size += len(k.name) + v.size
		p.fields = append(p.fields, entry{name: k.name, line: k.line, value: v})
	}
	sort.Slice(p.fields, func(i, j int) bool {
		a, b := &p.fields[i], &p.fields[j]
		return a.line < b.line || a.line == b.line && a.name < b.name
	})
	return nil
}

// byName returns the entries of the mapping. Those of the mapping itself come
// before those of merge keys.
func (p *position) byName() map[string][]entry {
	own := make(map[string][]entry, len(p.fields))
	for _, e := range p.fields {
		if p.isOwn(e) {
			own[e.name] = append(own[e.name], e)
		}
	}
	for _, e := range p.fields {
		if !p.isOwn(e) {
			own[e.name] = append(own[e.name], e)
		}
	}
	return own
}

// isOwn tells whether an entry stands in the mapping itself. An anchor stands
// before its use, so what a merge key brings in has an earlier line than the
// mapping. Both on one line are taken for own.
func (p *position) isOwn(e entry) bool { return e.line >= p.line }

// item returns the position of an item of a list.
func (p *position) item(i int) *position {
	if i >= len(p.items) {
		return &position{}
	}
	return &p.items[i]
}

// key is a key of a mapping. Each is different from all others, so that no
// duplicate gets lost in a map.
type key struct{ *keyText }

type keyText struct {
	name string
	line int
}

// UnmarshalYAML implements yaml.Unmarshaler. It is not called for a null.
func (k *key) UnmarshalYAML(unmarshal func(any) error) error {
	line, _, err := lookAt(unmarshal)
	if err != nil {
		return err
	}
	k.keyText = &keyText{line: line}
	if err = unmarshal(&k.name); isMismatch(err) {
		return atLine(line, errors.New("a key must be a string"))
	}
	return err
}

// lookAt returns the line of the node that is being decoded. A leaf is surely
// no mapping or list: the error shows its value, as only those of scalars are.
func lookAt(unmarshal func(any) error) (line int, leaf bool, err error) {
	var none chan struct{}
	err = unmarshal(&none)
	if !isMismatch(err) {
		return 0, false, err
	}
	text := err.(*yaml.TypeError).Errors[0]
	number, _, _ := strings.Cut(strings.TrimPrefix(text, "line "), ":")
	line, _ = strconv.Atoi(number)
	return line, strings.Contains(text, " `") && !strings.Contains(text, " ``"), nil
}

// isMismatch tells a node of another type from a broken document.
func isMismatch(err error) bool {
	te, ok := err.(*yaml.TypeError)
	return ok && len(te.Errors) > 0
}

// atLine puts the line number where the YAML library has it.
func atLine(line int, err error) error {
	return fmt.Errorf("line %d: %w", line, err)
}

// splitLine takes the line number off an error text of the YAML library.
func splitLine(text string) (line int, msg string) {
	msg = strings.Join(strings.Fields(strings.TrimPrefix(text, "yaml: ")), " ")
	rest, ok := strings.CutPrefix(msg, "line ")
	if !ok {
		return 0, msg
	}
	number, rest, ok := strings.Cut(rest, ": ")
	line, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0, msg
	}
	return line, rest
}
