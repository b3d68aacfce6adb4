package restart

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"samaritan/internal/chaos"
	"samaritan/internal/testredis"
)

// identityEvery is how many batches a client sends between two looks at who it is.
const identityEvery = 6

// person is the connection of a client that looks again and again whether it is still who
// it was: its id, its name and its version of RESP. It says them once, when it connects, so
// they only stay if the connection does and its state with it. Its client owns it.
type person struct {
	chaos.Link
	kind     string
	name     string
	proto    int64
	id       int64
	batches  int
	sent     *atomic.Int64 // commands, answered or not
	problems *problems
	watch    *stopwatch
}

// introduce names a connection and learns its id.
func introduce(l chaos.Link, p person) (*person, error) {
	p.Link = l
	var problem error
	err := l.Exchange([][]any{
		{"CLIENT", "SETNAME", p.name},
		{"ZADD", p.scoreKey(), "1.5", "half"},
		{"CLIENT", "ID"},
	}, func(_ int, v any) {
		switch v := v.(type) {
		case error:
			problem = errors.Join(problem, v)
		case int64:
			p.id = v // the last of them stays
		}
	})
	if err = errors.Join(err, problem); err != nil {
		return nil, errors.Join(fmt.Errorf("restart: introduce %s %s: %w", p.kind, p.name, err), l.Close())
	}
	p.sent.Add(3)
	return &p, nil
}

func (p *person) scoreKey() string { return "score:" + p.name }

// Exchange sends the commands, and now and then some more.
func (p *person) Exchange(cmds [][]any, each func(i int, v any)) error {
	p.batches++
	own := len(cmds)
	if p.batches%identityEvery == 0 {
		cmds = append(cmds[:own:own], []any{"CLIENT", "ID"}, []any{"CLIENT", "GETNAME"}, []any{"HELLO"}, []any{"ZSCORE", p.scoreKey(), "half"})
	}
	p.sent.Add(int64(len(cmds)))
	start := time.Now()
	err := p.Link.Exchange(cmds, func(i int, v any) {
		if i < own {
			each(i, v)
			return
		}
		p.look(i-own, v)
	})
	p.watch.took(start)
	return err
}

// look holds one of the replies against what it was.
func (p *person) look(i int, v any) {
	var want any
	switch i {
	case 0:
		want = p.id
	case 1:
		want = p.name
	case 2:
		want, v = p.proto, field(v, "proto")
	default:
		// A number in RESP3 and a text in RESP2.
		if want = any("1.5"); p.proto == 3 {
			want = 1.5
		}
	}
	if v != want {
		p.problems.add("%s %s: %s is %v (%T), and was %v", p.kind, p.name, [...]string{"its id", "its name", "its version of RESP", "the form of its replies"}[i], v, v, want)
	}
}

// field returns a field of a map, in any of the forms that libraries have for it.
func field(v any, name string) any {
	switch v := v.(type) {
	case map[any]any:
		return v[name]
	case map[string]any:
		return v[name]
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			if v[i] == name {
				return v[i+1]
			}
		}
	}
	return v
}

// rueidisLink is rueidis with one connection, which all commands share.
type rueidisLink struct {
	client rueidis.Client
	limit  time.Duration
}

// dialRueidis connects. The library sends nothing by itself afterwards.
func dialRueidis(addr string, limit time.Duration) (chaos.Link, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, ForceSingleClient: true, PipelineMultiplex: -1, AlwaysPipelining: true,
		DisableCache: true, DisableRetry: true, Dialer: net.Dialer{KeepAlive: time.Hour}, ConnWriteTimeout: limit,
	})
	if err != nil {
		return nil, err
	}
	return &rueidisLink{client, limit}, nil
}

// Exchange sends the commands in one piece.
func (l *rueidisLink) Exchange(cmds [][]any, each func(i int, v any)) error {
	built := make(rueidis.Commands, len(cmds))
	for i, c := range cmds {
		args := make([]string, len(c)-1)
		for j, a := range c[1:] {
			args[j] = fmt.Sprint(a)
		}
		built[i] = l.client.B().Arbitrary(c[0].(string)).Args(args...).Build()
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.limit)
	defer cancel()
	for i, r := range l.client.DoMulti(ctx, built...) {
		v, err := r.ToAny()
		reply, isReply := rueidis.IsRedisErr(err)
		switch {
		case rueidis.IsRedisNil(err):
			each(i, nil)
		case isReply:
			each(i, testredis.Error(reply.Error()))
		case err != nil:
			return err
		default:
			each(i, flat(v))
		}
	}
	return nil
}

// flat has errors within arrays be those of testredis.
func flat(v any) any {
	items, ok := v.([]any)
	if !ok {
		return v
	}
	for i, item := range items {
		if err, ok := item.(error); ok {
			if items[i] = testredis.Error(err.Error()); rueidis.IsRedisNil(err) {
				items[i] = nil
			}
		}
	}
	return items
}

// Close closes the connection.
func (l *rueidisLink) Close() error {
	l.client.Close()
	return nil
}
