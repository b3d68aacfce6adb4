package command

import (
	"slices"
	"strings"
)

// section is the rows of one group.
type section struct {
	group string
	rows  []Info
}

// table is the finished, immutable table.
type table struct {
	top  []*Info // commands without their subcommands, in the order of the rows
	byID []*Info // all of them
	hash hashTable
}

// std is built once by the package's variable initialisation and never written again.
var std = newTable(slices.Concat(dataSections, serverSections, newerSections, moduleSections))

// All returns all commands, subcommands excluded (they hang below their container). The slice and
// what it points to must not be changed.
func All() []*Info { return std.top }

// Count returns the number of commands and subcommands. IDs are below it.
func Count() int { return len(std.byID) }

// ByID returns the command or subcommand with that ID. It panics when id is not below Count.
func ByID(id uint16) *Info { return std.byID[id] }

// newTable completes the rows and indexes them. It panics on a subcommand without container, which
// no process with this table would survive the start of.
func newTable(sections []section) *table {
	t := &table{}
	byName := make(map[string]*Info)
	for _, s := range sections {
		for n := range s.rows {
			i := &s.rows[n]
			i.complete(uint16(len(t.byID)), s.group)
			t.byID = append(t.byID, i)
			byName[i.Name] = i
			if container, _, ok := strings.Cut(i.Name, "|"); ok {
				c := byName[container]
				c.Subcommands = append(c.Subcommands, i)
				continue
			}
			t.top = append(t.top, i)
		}
	}
	t.hash.fill(t.top)
	return t
}

// complete derives what a row leaves out.
func (i *Info) complete(id uint16, group string) {
	i.ID, i.Group = id, group
	i.ACL = i.ACL.implied(i.Flags)
	i.FirstKey, i.LastKey, i.Step = legacyTriple(i.Specs)
	i.finder = finderOf(i)
	if i.finder == findRange && i.FirstKey == i.LastKey {
		i.SimpleKey = int8(i.FirstKey)
	}
}

// legacyTriple says in the terms of Redis 6 what the specs say, as far as that goes: it joins specs
// that are ranges of step 1 right behind each other and leaves out the others.
func legacyTriple(specs []KeySpec) (first, last, step int) {
	if len(specs) == 1 && specs[0].plain() {
		return specs[0].Index, specs[0].absoluteLast(), specs[0].KeyStep
	}
	for _, s := range specs {
		if !s.plain() || s.KeyStep != 1 || (last != 0 && last != s.Index-1) {
			continue
		}
		if first == 0 {
			first = s.Index
		}
		last, step = s.absoluteLast(), 1
	}
	return first, last, step
}

// absoluteLast is LastKey counted from argument 0 unless it counts from the end.
func (s KeySpec) absoluteLast() int {
	if s.LastKey < 0 {
		return s.LastKey
	}
	return s.Index + s.LastKey
}

func tips(list ...string) []string { return list }
