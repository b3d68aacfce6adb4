package redis

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

// keeper is a session that writes values of its own and knows what it has to read.
type keeper struct {
	name  string
	conn  *testredis.Conn
	rng   *rand.Rand
	keys  []string
	value map[string]string
	n     int
	left  map[string]bool // keys whose value is not known, as their last write was refused
	texts bool            // no value looks like a stored one
	large bool            // some are worked on beside the loop
}

func newKeeper(t testing.TB, addr, name string, seed uint64, keys ...string) *keeper {
	t.Helper()
	k := &keeper{
		name: name, conn: connect(t, addr), rng: rand.New(rand.NewPCG(seed, 5)), keys: keys, value: map[string]string{}, left: map[string]bool{},
	}
	if seed%2 == 1 {
		must(t, k.conn, "HELLO", 3)
	}
	for _, key := range keys {
		k.value[key] = ""
		must(t, k.conn, "SET", key, "")
	}
	return k
}

// fresh is another value each time, of about 20 KB; now and then one that is small, or random.
func (k *keeper) fresh() string {
	k.n++
	begin := fmt.Sprint(k.name, " ", k.n, " ")
	switch n := k.rng.IntN(8); {
	case n == 0:
		return begin
	case n == 1:
		return begin + randomText(20_000)
	case n == 2 && !k.texts:
		return storedForm(compress.Snappy, begin+jsonText(5000))
	case n == 3 && k.large:
		return begin + jsonText(600_000)
	}
	return begin + jsonText(20_000)
}

// round sends a pipeline and checks what comes back. Errors are allowed only when accept takes
// them.
func (k *keeper) round(t testing.TB, accept func(err string) bool) bool {
	var commands [][]any
	var wants []any
	var written [][]string
	for range 1 + k.rng.IntN(8) {
		key, other := pickOf(k.rng, k.keys), pickOf(k.rng, k.keys)
		switch k.rng.IntN(4) {
		case 0:
			v := k.fresh()
			commands, wants, written = append(commands, cmd("SET", key, v)), append(wants, "OK"), append(written, []string{key, v})
		case 1:
			v, w := k.fresh(), k.fresh()
			commands, wants, written = append(commands, cmd("MSET", key, v, other, w)), append(wants, "OK"), append(written, []string{key, v, other, w})
		case 2:
			commands, wants, written = append(commands, cmd("MGET", key, other)), append(wants, []string{key, other}), append(written, nil)
		default:
			commands, wants, written = append(commands, cmd("GET", key)), append(wants, []string{key}), append(written, nil)
		}
	}
	if !assert.NoError(t, k.conn.Send(commands...)) {
		return false
	}
	for i := range commands {
		got, err := receiveOne(k.conn)
		if !assert.NoError(t, err, k.name) {
			return false
		}
		if e, refused := got.(testredis.Error); refused {
			if !assert.True(t, accept(string(e)), "%s %.60q: %s", k.name, commands[i], e) {
				return false
			}
			for j := 0; j < len(written[i]); j += 2 {
				k.left[written[i][j]] = true
			}
			continue
		}
		if !k.check(t, wants[i], got, written[i], commands[i]) {
			return false
		}
	}
	return true
}

func (k *keeper) check(t testing.TB, want, got any, written []string, command []any) bool {
	for j := 0; j < len(written); j += 2 {
		k.value[written[j]] = written[j+1]
		delete(k.left, written[j])
	}
	keys, isRead := want.([]string)
	if !isRead {
		return assert.Equal(t, want, got, "%s %.60q", k.name, command)
	}
	list, isList := got.([]any)
	if !isList {
		list = []any{got}
	}
	for j, key := range keys {
		if !k.left[key] && !same(t, k.value[key], list[j], k.name, command[0], key) {
			return false
		}
	}
	return true
}

func noError(string) bool { return false }

// keepers are sessions that go on side by side until they are stopped, or one of them fails.
type keepers struct {
	all     []*keeper
	rounds  atomic.Int64 // of all together
	stopped atomic.Bool
	running sync.WaitGroup
}

// startKeepers lets sessions run; none of them may see an error.
func startKeepers(t testing.TB, all []*keeper) *keepers {
	s := &keepers{all: all}
	t.Cleanup(s.stop)
	for _, k := range all {
		s.running.Go(func() {
			for !s.stopped.Load() && k.round(t, noError) {
				s.rounds.Add(1)
			}
		})
	}
	return s
}

// more returns after n more rounds, or when the test has failed.
func (s *keepers) more(t testing.TB, n int64) {
	t.Helper()
	until := s.rounds.Load() + n
	eventually(t, func() bool { return s.rounds.Load() >= until || t.Failed() }, "the sessions go on")
}

// stop returns when all have ended. It is idempotent.
func (s *keepers) stop() {
	s.stopped.Store(true)
	s.running.Wait()
}

// check stops the sessions, and reads at addr what they have written last.
func (s *keepers) check(t testing.TB, addr string) {
	t.Helper()
	s.stop()
	conn := connect(t, addr)
	for _, k := range s.all {
		for _, key := range k.keys {
			same(t, k.value[key], must(t, conn, "GET", key), key, "at the end")
		}
	}
}

// Values are compressed once and decompressed once while their slot moves.
func TestCompressedValuesOfASlotThatMoves(t *testing.T) {
	const slot = 4321
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		var all []*keeper
		for i := range 4 {
			name := fmt.Sprint("session", i)
			keys := []string{key(slot, name+"a"), key(slot, name+"b"), key(slot, name+"c"), key(uint16(9000+i), name)}
			all = append(all, newKeeper(t, r.on.Addr, name, uint64(i), keys...))
		}
		sessions := startKeepers(t, all)
		m := &mover{c: r.cluster, slot: slot}
		for range 3 {
			sessions.more(t, 20)
			m.begin(t)
			sessions.more(t, 20)
			_, err := r.cluster.MigrateKeys(slot, 5)
			require.NoError(t, err)
			sessions.more(t, 20)
			require.NoError(t, r.cluster.FinishMigrate(slot))
			sessions.more(t, 20)
			if t.Failed() {
				break
			}
		}
		sessions.check(t, r.off.Addr)
		owner := r.cluster.Master(slot)
		for _, k := range all {
			for _, key := range k.keys[:3] {
				raw := owner.MustDo(t, "GET", key).(string)
				_, like := compress.Detect([]byte(k.value[key]))
				checkStored(t, a, sample{k.name, k.value[key], like || len(raw) < len(k.value[key])}, raw, key)
			}
		}
		moved, ask, _, _, _ := r.on.upstream(t)
		assert.Positive(t, moved)
		assert.Positive(t, ask)
	})
}
