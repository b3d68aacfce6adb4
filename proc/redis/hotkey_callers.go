package redis

import (
	"strings"
	"sync"
)

// maxCallerName is how many bytes of a name are kept.
const maxCallerName = 128

// maxCallers is how many names of clients are told apart.
const maxCallers = 4096

// otherCallers is the name of all further ones.
const otherCallers = "(others)"

// callers gives the names of clients numbers, so that counting takes no strings.
type callers struct {
	mu      sync.Mutex
	numbers map[string]uint32
	names   []string
}

// number returns the number of a name, which is not 0.
func (c *callers) number(name string) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.numbers[name]; ok {
		return n
	}
	if c.numbers == nil {
		c.numbers = make(map[string]uint32)
	}
	if len(c.names) >= maxCallers {
		name = otherCallers
		if n, ok := c.numbers[name]; ok {
			return n
		}
	}
	c.names = append(c.names, name)
	c.numbers[name] = uint32(len(c.names))
	return uint32(len(c.names))
}

// name returns the name that has the number.
func (c *callers) name(number uint32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number == 0 || int(number) > len(c.names) {
		return ""
	}
	return c.names[number-1]
}

// callerNumber stands for whoever uses the session: the name that the client has given itself,
// else its address and library.
func (s *session) callerNumber() uint32 {
	if s.caller == 0 {
		name := s.state.Name
		if name == "" {
			name = remoteAddress(s.fd).ip
			if lib, _, _ := strings.Cut(s.state.LibName, "("); lib != "" {
				name += " " + lib // without what the library was built with
			}
		}
		s.caller = s.w.proc.callers.number(name[:min(len(name), maxCallerName)])
	}
	return s.caller
}
