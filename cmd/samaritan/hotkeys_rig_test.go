package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// hot is a change for launch: the service's redis_option.
func hot(t *testing.T, option string) func(*child) {
	return func(c *child) { rewrite(t, c, "protocol: Redis", "protocol: Redis, redis_option: {"+option+"}") }
}

// zipf is keys by rank, the hottest first, of which each has a share of the traffic that
// is known. Keys of some ranks are hashes, those of scripts and those of unions; all others
// are strings. No two of them are in the same slot.
type zipf struct {
	keys []string
	upTo []float64 // the share of a key and of all hotter ones
}

const (
	ofHashes  = 3 // rank modulo 10
	ofScripts = 5
	ofUnions  = 7
)

// number is the value of each string, and remains as long when it is incremented.
const number = "1000000"

// newZipf makes n keys with Zipf's law of exponent s.
func newZipf(s float64, n int) *zipf {
	z := &zipf{keys: make([]string, 0, n), upTo: make([]float64, 0, n)}
	taken, sum := make(map[uint16]bool), 0.0
	for i := 0; len(z.keys) < n; i++ {
		key := fmt.Sprintf("key:%05d", i)
		if slot := testredis.Slot(key); !taken[slot] {
			taken[slot] = true
			z.keys = append(z.keys, key)
			sum += math.Pow(float64(len(z.keys)), -s)
			z.upTo = append(z.upTo, sum)
		}
	}
	for i := range z.upTo {
		z.upTo[i] /= sum
	}
	return z
}

// fill gives the strings their values without the proxy, so that nothing is counted.
func (z *zipf) fill(t *testing.T, cluster *testredis.Cluster) {
	t.Helper()
	masters := cluster.Masters()
	batches := make([][][]any, len(masters))
	for rank, key := range z.keys {
		if z.isString(rank) {
			i := int(testredis.Slot(key)) * len(masters) / 16384
			batches[i] = append(batches[i], []any{"SET", key, number})
		}
	}
	for i, batch := range batches {
		conn, err := testredis.Dial(masters[i].Addr())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.Send(batch...))
		for range batch {
			reply, err := conn.Receive()
			require.NoError(t, err)
			require.Equal(t, "OK", reply)
		}
	}
}

func (z *zipf) isString(rank int) bool {
	return rank%10 != ofHashes && rank%10 != ofScripts && rank%10 != ofUnions
}

// script has two keys.
const script = "return redis.call('SET',KEYS[2],KEYS[1])"

// request is a command with what it means to its keys.
type request struct {
	args []string
	uses []use
	cost float64 // what one key of it has of the processor's time, in requests
}

// use is a hit. The bytes are what the key has of the request and of the reply.
type use struct {
	key     string
	write   bool
	in, out float64
}

// frame is how long a command is on the wire.
func frame(args ...string) (n int) {
	n = len(fmt.Sprintf("*%d\r\n", len(args)))
	for _, a := range args {
		n += len(fmt.Sprintf("$%d\r\n\r\n", len(a))) + len(a)
	}
	return n
}

// newRequest is a command whose keys share its bytes. reply is how long its reply is.
func newRequest(reply int, write bool, keys []string, args ...string) request {
	n := float64(len(keys))
	r := request{args: args, cost: 1 / n}
	for _, k := range keys {
		r.uses = append(r.uses, use{k, write, float64(frame(args...)) / n, float64(reply) / n})
	}
	return r
}

// traffic draws keys evenly: by the multiples of the golden ratio, whose fractions fill
// the range from 0 to 1 without gaps or heaps wherever one begins and ends. So any second of
// it has the keys in their proportions, and nothing is left to chance.
type traffic struct {
	*zipf
	at float64
	n  int
}

func (f *traffic) rank() int {
	f.at = math.Mod(f.at+math.Phi-1, 1)
	return min(sort.SearchFloat64s(f.upTo, f.at), len(f.keys)-1)
}

// next is the next command.
func (f *traffic) next() request {
	f.n++
	rank := f.rank()
	key := f.keys[rank]
	switch rank % 10 {
	case ofHashes:
		return newRequest(len(":0\r\n"), true, []string{key}, "HSET", key, "field", strconv.Itoa(1000+f.n%1000))
	case ofScripts:
		other := "{" + key + "}" + strconv.Itoa(f.n%8)
		return newRequest(len("+OK\r\n"), true, []string{key, other}, "EVAL", script, "2", key, other)
	case ofUnions:
		source := "{" + key + "}" + strconv.Itoa(f.n%8)
		return newRequest(len(":0\r\n"), true, []string{key, source}, "ZUNIONSTORE", key, "1", source)
	}
	switch f.n % 10 {
	case 0, 1, 2, 3, 4:
		return newRequest(len("$7\r\n\r\n")+len(number), false, []string{key}, "GET", key)
	case 5, 6:
		return newRequest(len("+OK\r\n"), true, []string{key}, "SET", key, number)
	case 7:
		return newRequest(len(":\r\n")+len(number), true, []string{key}, "INCR", key)
	}
	return f.several(key)
}

// several is an MGET of three strings, each of another slot: the proxy makes three commands of
// it.
func (f *traffic) several(key string) request {
	r := request{args: []string{"MGET", key}, cost: 1}
	for len(r.args) < 4 {
		rank := f.rank()
		if !f.isString(rank) {
			rank++
		}
		if other := f.keys[min(rank, len(f.keys)-1)]; !slices.Contains(r.args, other) {
			r.args = append(r.args, other)
		}
	}
	for _, k := range r.args[1:] {
		r.uses = append(r.uses, use{k, false, float64(frame("MGET", k)), float64(len("*1\r\n$7\r\n\r\n") + len(number))})
	}
	return r
}

func (y *tally) enter(client, command string, u use, cost float64) {
	y.hits++
	if u.write {
		y.writes++
	} else {
		y.reads++
	}
	y.in += u.in
	y.out += u.out
	y.cost += cost
	y.commands[command]++
	y.clients[client]++
}

// sender is a client of some library that sends its share of the traffic.
type sender struct {
	caller string // as the proxy shows it
	send   func(ctx context.Context, commands [][]string) error
	traffic
}

// newSenders connects one client of each kind, all of one connection.
func newSenders(t *testing.T, c *child, z *zipf) []*sender {
	t.Helper()
	library := func(g *goredis.Client) string {
		info, err := g.ClientInfo(t.Context()).Result()
		require.NoError(t, err)
		lib, _, _ := strings.Cut(info.LibName, "(")
		return "127.0.0.1 " + lib
	}
	plain, named := c.goRedis(2, ""), c.goRedis(3, "orders")
	return []*sender{
		{library(plain), sendGoRedis(plain), traffic{zipf: z, at: 0.1}},
		{"orders", sendGoRedis(named), traffic{zipf: z, at: 0.35, n: 3}},
		{"127.0.0.1 rueidis", sendRueidis(c.rueidis(2)), traffic{zipf: z, at: 0.6, n: 5}},
		{"127.0.0.1 rueidis", sendRueidis(c.rueidis(3)), traffic{zipf: z, at: 0.85, n: 8}},
	}
}

func (c *child) goRedis(protocol int, name string) *goredis.Client {
	g := goredis.NewClient(&goredis.Options{Addr: c.redis, Protocol: protocol, ClientName: name, PoolSize: 1, MaxRetries: -1})
	c.t.Cleanup(func() { assert.NoError(c.t, g.Close()) })
	return g
}

func (c *child) rueidis(protocol int) rueidis.Client {
	r, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{c.redis}, AlwaysRESP2: protocol == 2, DisableCache: true, ForceSingleClient: true, DisableRetry: true, PipelineMultiplex: -1,
	})
	require.NoError(c.t, err)
	c.t.Cleanup(r.Close)
	return r
}

func sendGoRedis(g *goredis.Client) func(context.Context, [][]string) error {
	return func(ctx context.Context, commands [][]string) error {
		pipe := g.Pipeline()
		for _, args := range commands {
			pipe.Do(ctx, anys(args)...)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
}

func anys[T any](list []T) []any {
	all := make([]any, len(list))
	for i := range list {
		all[i] = list[i]
	}
	return all
}

func sendRueidis(r rueidis.Client) func(context.Context, [][]string) error {
	return func(ctx context.Context, commands [][]string) error {
		built := make([]rueidis.Completed, 0, len(commands))
		for _, args := range commands {
			built = append(built, r.B().Arbitrary(args[0]).Args(args[1:]...).Build())
		}
		for _, reply := range r.DoMulti(ctx, built...) {
			if err := reply.Error(); err != nil {
				return err
			}
		}
		return nil
	}
}

// batch is how many commands a sender sends at once.
const batch = 10

// run sends batches, one each time, until ctx ends, or so many, if limit is not 0.
func (s *sender) run(ctx context.Context, l *ledger, each time.Duration, limit int) error {
	pace := time.NewTicker(each)
	defer pace.Stop()
	for i := 0; limit == 0 || i < limit; i++ {
		requests, commands := make([]request, batch), make([][]string, batch)
		for j := range requests {
			requests[j] = s.next()
			commands[j] = requests[j].args
		}
		if err := s.send(context.WithoutCancel(ctx), commands); err != nil {
			return fmt.Errorf("%s: %w", s.caller, err)
		}
		l.enter(s.caller, requests)
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
	}
	return nil
}

// begin lets all senders run. end stops them, unless they have a limit, and returns when they have
// their replies.
func begin(t *testing.T, all []*sender, l *ledger, each time.Duration, limit int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, s := range all {
		running.Go(func() { assert.NoError(t, s.run(ctx, l, each, limit)) })
	}
	end = func() {
		if limit == 0 {
			cancel()
		}
		running.Wait()
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return end
}

// hotReport is what /hotkeys says of the only service.
type hotReport struct {
	Enabled    bool
	Time       time.Time
	IntervalMS int64 `json:"interval_ms"`
	WindowMS   int64 `json:"window_ms"`
	Hits       int
	QPS        float64
	SampleRate float64 `json:"sample_rate"`
	Keys       []reportedKey
	Slots      []reportedSlot `json:"slots_by_requests"`
	Values     []struct{}     `json:"largest_values"`
}

type reportedKey struct {
	Key, Node          string
	Count, Error, Slot int
	Counter            int
	QPS                float64
	NodeShare          float64 `json:"node_share"`
}

type reportedSlot struct {
	Node           string
	Slot, Requests int
}

// report asks for /hotkeys. It returns nothing but false when there is no answer.
func (c *child) report(t assert.TestingT) (r hotReport, ok bool) {
	status, body := c.get("/hotkeys")
	var got struct{ Services []hotReport }
	if !assert.Equal(t, 200, status, body) || !assert.NoError(t, json.Unmarshal([]byte(body), &got), body) || !assert.Len(t, got.Services, 1) {
		return hotReport{}, false
	}
	return got.Services[0], true
}

// of returns a key of the report.
func (r *hotReport) of(key string) (k reportedKey, ok bool) {
	i := slices.IndexFunc(r.Keys, func(k reportedKey) bool { return k.Key == key })
	if i < 0 {
		return k, false
	}
	return r.Keys[i], true
}

// awaitReport polls /hotkeys until it is as it should be.
func (c *child) awaitReport(check func(t *assert.CollectT, r *hotReport)) (last hotReport) {
	c.t.Helper()
	require.EventuallyWithT(c.t, func(t *assert.CollectT) {
		var ok bool
		if last, ok = c.report(t); ok {
			check(t, &last)
		}
	}, patience, 20*time.Millisecond)
	return last
}

func enter(to map[string]string, prefix, name string, v any) {
	name = prefix + strings.ReplaceAll(name, "_", "-")
	switch v.(type) {
	case map[string]any, map[any]any, []any:
		flatten(to, name+".", v)
	default:
		to[name] = fmt.Sprint(v)
	}
}

// stat is the value of one of the service's statistics, -1 when it has none.
func (c *child) stat(name string) int {
	_, text := c.get("/stats?filter=" + name)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "service.redis-test."+name+": "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			require.NoError(c.t, err, line)
			return n
		}
	}
	return -1
}

// calls is how often a node was asked for a command, such as "get".
func calls(t *testing.T, n *testredis.Node, command string) (count int) {
	t.Helper()
	text, _ := n.MustDo(t, "INFO", "commandstats").(string)
	for line := range strings.Lines(text) {
		if tail, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			head, _, _ := strings.Cut(tail, ",")
			count, err := strconv.Atoi(head)
			require.NoError(t, err, line)
			return count
		}
	}
	return 0
}
