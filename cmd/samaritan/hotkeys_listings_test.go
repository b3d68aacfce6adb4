package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stretchr/testify/assert"
)

// listing is a way to ask for the hot keys: fields of the keys by name, hottest first.
type listing func() ([]map[string]string, error)

// listings are all ways that show everything. The clients are made once.
func (c *child) listings() map[string]listing {
	list := []string{"HOTKEY", "LIST"}
	all := map[string]listing{
		"redis-cli": func() ([]map[string]string, error) {
			var keys []any
			err := unmarshal(c.redisCLI("--json", "HOTKEY", "LIST"), &keys)
			return flat(keys, err)
		},
		"/hotkeys": func() ([]map[string]string, error) {
			_, body := c.get("/hotkeys")
			var got struct{ Services []struct{ Keys []any } }
			if err := unmarshal(body, &got); err != nil || len(got.Services) != 1 {
				return nil, fmt.Errorf("%s: %w", body, err)
			}
			return flat(got.Services[0].Keys, nil)
		},
	}
	for _, protocol := range []int{2, 3} {
		g, r := c.goRedis(protocol, ""), c.rueidis(protocol)
		all[fmt.Sprint("go-redis, RESP", protocol)] = func() ([]map[string]string, error) {
			keys, err := g.Do(c.t.Context(), anys(list)...).Slice()
			return flat(keys, err)
		}
		all[fmt.Sprint("rueidis, RESP", protocol)] = func() ([]map[string]string, error) {
			v, err := r.Do(c.t.Context(), r.B().Arbitrary(list...).Build()).ToAny()
			keys, _ := v.([]any)
			return flat(keys, err)
		}
	}
	return all
}

// unmarshal leaves the numbers in JSON as they are written.
func unmarshal(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// flat brings the keys of a listing into one form, whatever they came in.
func flat(keys []any, err error) ([]map[string]string, error) {
	all := make([]map[string]string, 0, len(keys))
	for _, k := range keys {
		m := make(map[string]string)
		flatten(m, "", k)
		all = append(all, m)
	}
	return all, err
}

// flatten enters the fields of a map, or of a list that stands for one. Those of maps
// within are entered as "commands.get".
func flatten(to map[string]string, prefix string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			enter(to, prefix, name, value)
		}
	case map[any]any:
		for name, value := range v {
			enter(to, prefix, fmt.Sprint(name), value)
		}
	case []any:
		for i := 0; i < len(v); i++ {
			if part, ok := v[i].(map[string]any); ok && part["hits"] != nil { // JSON only
				to[prefix+fmt.Sprint(part["name"])] = fmt.Sprint(part["hits"])
			} else if i++; i < len(v) {
				enter(to, prefix, fmt.Sprint(v[i-1]), v[i])
			}
		}
	}
}

func keysOf(list []map[string]string) []string {
	var keys []string
	for _, k := range list {
		keys = append(keys, k["key"])
	}
	return keys
}

// textLine is a line of HOTKEY.
type textLine struct {
	counter int
	key     string
}

// hotText asks for HOTKEY with redis-cli and reads it as scripts do.
func (c *child) hotText(t assert.TestingT) (lines []textLine) {
	text := strings.Split(c.redisCLI("HOTKEY"), "\n")
	n := -1
	_, err := fmt.Sscanf(text[0], "Collect %d keys in this period!", &n)
	assert.NoError(t, err, text[0])
	assert.Len(t, text[1:], n)
	for _, line := range text[1:] {
		var l textLine
		_, err := fmt.Sscanf(line, "counter: %d  keyname: %s", &l.counter, &l.key)
		assert.NoError(t, err, line)
		lines = append(lines, l)
	}
	return lines
}
