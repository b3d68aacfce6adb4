package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/hotkey"
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

func testLoop(t testing.TB) *eventloop.Loop {
	t.Helper()
	l, err := eventloop.New()
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// exchange is a command as it is sent, and the reply to it.
type exchange struct {
	request Sending
	reply   Reply
	scratch Reply
}

func newExchange(t testing.TB, l *eventloop.Loop, reply string, args ...string) *exchange {
	t.Helper()
	b := l.NewBuf(1 << 10)
	b.B = resp.AppendCommand(b.B, args...)
	var p resp.Parser
	_, err := p.Parse(b.B)
	require.NoError(t, err)
	info := command.Resolve(b.B, p.Args)
	require.NotNil(t, info)
	keys, _ := info.Keys(nil, b.B, p.Args) // an error: it has none
	note := new(Note)
	return &exchange{
		request: Sending{Info: info, Frame: b.B, Args: p.Args, Keys: keys, Node: &Node{Addr: "node"}, Note: note, Slot: 7},
		reply:   Reply{Info: info, Note: note, Request: eventloop.Ref{Buf: b, Len: len(b.B)}, Slot: 7, Bytes: []byte(reply)},
	}
}

// run has the exchange seen by the chain.
func (e *exchange) run(c *Chain) {
	if c.WantsSent(len(e.request.Keys), len(e.request.Frame)) {
		c.Sent(&e.request)
	}
	if c.WantsReply(e.reply.Info, e.reply.Note, e.reply.Bytes) {
		e.scratch = e.reply
		c.Reply(&e.scratch)
	}
}

// Between two calls of LookForLarge maxLargeLooks requests and replies are looked at, also when none of
// them has a large value.
func TestTheBudgetOfLooksHoldsWithoutLargeValues(t *testing.T) {
	l := testLoop(t)
	var keys, pairs, values []string
	for i := range 20 {
		k := fmt.Sprintf("{t}%060d", i)
		keys, pairs, values = append(keys, k), append(pairs, k, "v"), append(values, "$1\r\nv\r\n")
	}
	got := "*20\r\n" + strings.Join(values, "") + strings.Repeat(" ", 1000) // what is behind it does not matter
	for _, e := range []*exchange{
		newExchange(t, l, got, append([]string{"MGET"}, keys...)...),
		newExchange(t, l, "+OK\r\n", append([]string{"MSET"}, pairs...)...),
		newExchange(t, l, ":20\r\n", append([]string{"DEL"}, keys...)...),
	} {
		h := NewHotKeys(l, new(HotRates))
		c := NewChain(h.Hooks())
		for range 2000 {
			e.run(c)
		}
		assert.LessOrEqual(t, maxLargeLooks-h.large.left, maxLargeLooks+1, e.request.Info.Name)
		left := h.large.left
		h.Pace(l.Now() + 1e9)
		assert.Equal(t, left, h.large.left, "what the traffic is paced by gives no new budget")
		h.LookForLarge()
		assert.Equal(t, maxLargeLooks, h.large.left)
	}
}

// The bytes of a reply count for a key that was counted, whatever share of the keys is.
func TestRepliesToManyKeysCountForOneOfThem(t *testing.T) {
	l := testLoop(t)
	args := []string{"MGET"}
	for i := range 5*maxHitKeys + 3 {
		args = append(args, fmt.Sprint("{t}", i))
	}
	e := newExchange(t, l, "*0\r\n", args...)
	h := NewHotKeys(l, new(HotRates))
	c := NewChain(h.Hooks())
	for range 1000 {
		e.request.Note.hot = hotNote{}
		c.WantsSent(len(e.request.Keys), len(e.request.Frame))
		c.Sent(&e.request)
		require.NotZero(t, e.request.Note.hot.key)
	}
}

// BenchmarkLook is what one look at a reply to MGET costs.
func BenchmarkLook(b *testing.B) {
	l := testLoop(b)
	args := []string{"MGET"}
	reply := "*100\r\n"
	for i := range 100 {
		args = append(args, fmt.Sprintf("{t}%030d", i))
		reply += fmt.Sprintf("$50\r\n%050d\r\n", i)
	}
	e := newExchange(b, l, reply, args...)
	h := NewHotKeys(l, new(HotRates))
	b.ReportAllocs()
	for b.Loop() {
		h.noteReply(&e.reply)
	}
}

func TestTrackingAKeyDoesNotAllocate(t *testing.T) {
	l := testLoop(t)
	c := NewChain(NewTracker(hotkey.NewTracker(hotkey.TrackerOptions{ByCost: true, ByBytes: true})).Hooks())
	for _, line := range []string{"GET key", "MGET a b c d", "EVAL x 2 a b c"} {
		e := newExchange(t, l, "+OK\r\n", strings.Fields(line)...)
		e.run(c)
		assert.Zero(t, testing.AllocsPerRun(100, func() { e.run(c) }), line)
	}
}

func TestTrackingCountsRequestsThatWereSent(t *testing.T) {
	found := hotkey.NewTracker(hotkey.TrackerOptions{ByBytes: true})
	c := NewChain(NewTracker(found).Hooks())
	c.Reply(&Reply{Info: command.Lookup([]byte("ping")), Slot: -1, Bytes: []byte("+PONG\r\n")})
	assert.Zero(t, hotkey.MergeTrackers([]*hotkey.Tracker{found}, 1).All)
}
