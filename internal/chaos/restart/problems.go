package restart

import (
	"fmt"
	"sync"
)

// mostProblems is how many problems are kept. The others are counted.
const mostProblems = 30

// problems is what went wrong, in the order in which it was noticed. It is safe for
// concurrent use.
type problems struct {
	mu sync.Mutex
	// Guarded by mu.
	list    []string
	dropped int
}

func (p *problems) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == mostProblems {
		p.dropped++
		return
	}
	p.list = append(p.list, fmt.Sprintf(format, args...))
}

// all returns them.
func (p *problems) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := append([]string(nil), p.list...)
	if p.dropped > 0 {
		list = append(list, fmt.Sprintf("and %d more", p.dropped))
	}
	return list
}
