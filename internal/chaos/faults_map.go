package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"samaritan/internal/testredis"
)

// lieTime is how long each wrong reply to CLUSTER commands is given.
const lieTime = 100 * time.Millisecond

// mapFaults give the proxy wrong replies to CLUSTER SLOTS and its kin.
func mapFaults() []Fault {
	return []Fault{
		{Name: "map-malformed", Inflict: mapMalformed, Help: "One node gives malformed replies to CLUSTER commands: " +
			"empty, partial, garbage, of wrong types, huge, nested, cut off, none."},
		{Name: "map-malformed-all", Inflict: mapMalformedAll, Help: "All nodes give malformed replies to CLUSTER commands, while slots move."},
		{Name: "map-wrong", Inflict: mapWrong, Help: "All nodes give well-formed replies with wrong owners: addresses where nobody is, and each other's."},
	}
}

// lie is a wrong reply to a CLUSTER command. It is made from the right one to
// CLUSTER SLOTS.
type lie struct {
	name string
	tell func(slots []any, random *rand.Rand) Answer
}

// malformed are lies that no client may believe, or only the good part of them.
var malformed = []lie{
	{"empty", text("*0\r\n")},
	{"null", text("*-1\r\n")},
	{"empty string", text("$0\r\n\r\n")},
	{"error", text("-ERR unknown command\r\n")},
	{"integer", text(":42\r\n")},
	{"list of integers", text("*2\r\n:1\r\n:2\r\n")},
	{"slots of text", text("*1\r\n*3\r\n+a\r\n+b\r\n*2\r\n+c\r\n+d\r\n")},
	{"slots out of range", text("*1\r\n*3\r\n:-1\r\n:99999\r\n*3\r\n$9\r\n127.0.0.1\r\n:1\r\n$1\r\nx\r\n")},
	{"port out of range", text("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:70000\r\n$1\r\nx\r\n")},
	{"no nodes", text("*1\r\n*2\r\n:0\r\n:16383\r\n")},
	{"huge list", text("*1000000000\r\n")},
	{"huge inner list", text("*1\r\n*999999999\r\n")},
	{"huge string", text("$4000000000\r\n")},
	{"nested", text(strings.Repeat("*1\r\n", 100_000))},
	{"silence", func([]any, *rand.Rand) Answer { return Answer{} }},
	{"random bytes", randomBytes},
	{"half", half},
	{"partial", func(slots []any, random *rand.Rand) Answer { // One shard is missing.
		n := random.IntN(len(slots))
		return Answer{Reply: encode(nil, append(append([]any{}, slots[:n]...), slots[n+1:]...))}
	}},
}

// wrong are lies that can be told from the truth only by using them.
var wrong = []lie{
	{"nobody there", text("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:1\r\n$40\r\n" + strings.Repeat("f", 40) + "\r\n")},
	{"no host", text("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\n?\r\n:1\r\n$40\r\n" + strings.Repeat("f", 40) + "\r\n")},
	{"each other's", func(slots []any, _ *rand.Rand) Answer {
		var turned []any
		for i, s := range slots {
			other := slots[(i+1)%len(slots)].([]any)
			turned = append(turned, append(append([]any{}, s.([]any)[:2]...), other[2:]...))
		}
		return Answer{Reply: encode(nil, turned)}
	}},
}

// text is a lie that is always the same.
func text(s string) func([]any, *rand.Rand) Answer {
	return func([]any, *rand.Rand) Answer { return Answer{Reply: []byte(s)} }
}

// randomBytes is nothing at all.
func randomBytes(_ []any, random *rand.Rand) Answer {
	b := make([]byte, 1+random.IntN(1000))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return Answer{Reply: b, Close: true}
}

// half is the truth up to some place, and then the end of the connection.
func half(slots []any, random *rand.Rand) Answer {
	b := encode(nil, slots)
	return Answer{Reply: b[:random.IntN(len(b))], Close: true}
}

// encode appends a reply as RESP2: integers, strings, nil and lists of them.
func encode(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return fmt.Appendf(dst, ":%d\r\n", v)
	case string:
		return fmt.Appendf(dst, "$%d\r\n%s\r\n", len(v), v)
	case []any:
		dst = fmt.Appendf(dst, "*%d\r\n", len(v))
		for _, item := range v {
			dst = encode(dst, item)
		}
		return dst
	}
	return append(dst, "$-1\r\n"...)
}

// mapMalformed lets one node lie. Its connections are reset for each lie, so
// that the map is asked for.
func mapMalformed(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(n *testredis.Node, r *Relay) error {
		return e.lies(ctx, malformed, []*Relay{r}, func(int) error { r.Reset(); return nil })
	})
}

// mapMalformedAll lets all nodes lie, while connections break and slots move.
func mapMalformedAll(ctx context.Context, e *Env) error {
	e.affectAll()
	relays := e.Cluster.Relays()
	from, to := e.twoShards()
	err := e.lies(ctx, malformed, relays, func(i int) error {
		if i%6 != 0 {
			relays[e.Rand.IntN(len(relays))].Reset()
			return nil
		}
		return e.thereAndBack(ctx, e.slotOf(from), from, to)
	})
	return errors.Join(err, e.Cluster.Whole())
}

// mapWrong lets all nodes name wrong owners.
func mapWrong(ctx context.Context, e *Env) error {
	e.affectAll()
	relays := e.Cluster.Relays()
	err := e.lies(ctx, wrong, relays, func(int) error {
		relays[e.Rand.IntN(len(relays))].Reset()
		return e.Wait(ctx, 2*lieTime)
	})
	return errors.Join(err, e.Cluster.Whole())
}

// lies tells the lies through the relays, one after the other; each time it
// gives a reason to ask for the map. Then the relays tell the truth again.
func (e *Env) lies(ctx context.Context, lies []lie, relays []*Relay, reason func(i int) error) error {
	reply, err := e.Cluster.Nodes()[0].Do("CLUSTER", "SLOTS")
	if err != nil {
		return err
	}
	slots, _ := reply.([]any)
	for i, l := range lies {
		answer := l.tell(slots, e.Rand)
		for _, r := range relays {
			r.Mangle(func([]byte) (Answer, bool) { return answer, true })
		}
		if err = errors.Join(reason(i), e.Wait(ctx, lieTime)); err != nil {
			err = fmt.Errorf("while the map is %s: %w", l.name, err)
			break
		}
	}
	for _, r := range relays {
		err = errors.Join(err, r.Restore())
	}
	return err
}
