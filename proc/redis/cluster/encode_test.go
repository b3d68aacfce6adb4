package cluster

import (
	"fmt"
	"strings"
)

// list and dict are replies as tables spell them. In RESP2 a dict is a list.
type (
	list []any
	dict []any
)

// encode spells a reply in RESP2 or RESP3: int, string (a bulk string), nil, list and dict.
func encode(v any, protocol int) string {
	switch v := v.(type) {
	case int:
		return fmt.Sprintf(":%d\r\n", v)
	case string:
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	case list:
		return fmt.Sprintf("*%d\r\n", len(v)) + encodeAll(v, protocol)
	case dict:
		if protocol == 2 {
			return encode(list(v), protocol)
		}
		return fmt.Sprintf("%%%d\r\n", len(v)/2) + encodeAll(v, protocol)
	case nil:
		if protocol == 2 {
			return "$-1\r\n"
		}
		return "_\r\n"
	}
	panic(fmt.Sprintf("cannot encode a %T", v))
}

func encodeAll(vs []any, protocol int) string {
	var b strings.Builder
	for _, v := range vs {
		b.WriteString(encode(v, protocol))
	}
	return b.String()
}

// dump joins the lines of a Map.String.
func dump(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

// The node IDs of the tables.
var (
	idA = strings.Repeat("a", 40)
	idB = strings.Repeat("b", 40)
	idC = strings.Repeat("c", 40)
	idD = strings.Repeat("d", 40)
)

const asked = "10.0.0.9:7000"
