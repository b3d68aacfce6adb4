package filter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// calls are the hooks that were called, in order.
type calls []string

// watcher is a filter that passes everything.
func (c *calls) watcher(name string) Hooks {
	return Hooks{
		Request: func(*Request) Verdict { *c = append(*c, "request "+name); return Pass },
		Sent:    func(*Sending) { *c = append(*c, "sent "+name) },
		Reply:   func(*Reply) Verdict { *c = append(*c, "reply "+name); return Pass },
	}
}

// deciding is a filter that decides the same of each request and each reply.
func (c *calls) deciding(name string, request, reply Verdict) Hooks {
	h := c.watcher(name)
	watchRequest, watchReply := h.Request, h.Reply
	h.Request = func(r *Request) Verdict { watchRequest(r); return request }
	h.Reply = func(r *Reply) Verdict { watchReply(r); return reply }
	return h
}

func TestRepliesPassTheChainTheOtherWayRound(t *testing.T) {
	var got calls
	c := NewChain(got.watcher("a"), Hooks{}, got.watcher("b"), got.watcher("c"))
	assert.Equal(t, Pass, c.Request(&Request{}))
	c.Sent(&Sending{})
	assert.Equal(t, Pass, c.Reply(&Reply{}))
	assert.Equal(t, calls{
		"request a", "request b", "request c",
		"sent a", "sent b", "sent c",
		"reply c", "reply b", "reply a",
	}, got)
}

func TestChainKnowsWhatItsFiltersWant(t *testing.T) {
	var got calls
	all := got.watcher("a")
	asked := 0
	many := func(keys, bytes int) bool { asked++; return keys > 10 }
	large := func(keys, bytes int) bool { asked++; return bytes > 1000 }
	errors := func(_ *command.Info, _ *Note, reply []byte) bool { asked++; return reply[0] == '-' }
	strings := func(_ *command.Info, _ *Note, reply []byte) bool { asked++; return reply[0] == '$' }
	for _, tt := range []struct {
		name                 string
		chain                *Chain
		request, sent, reply bool // whether it wants a message of 20 keys and 10 bytes, and the reply $0
		asked                int
	}{
		{name: "no filters", chain: NewChain()},
		{name: "filters without hooks", chain: NewChain(Hooks{}, Hooks{})},
		{name: "request", chain: NewChain(Hooks{Request: all.Request}), request: true},
		{name: "sent", chain: NewChain(Hooks{}, Hooks{Sent: all.Sent}), sent: true},
		{name: "reply", chain: NewChain(Hooks{Reply: all.Reply}, Hooks{}), reply: true},
		{name: "all", chain: NewChain(all), request: true, sent: true, reply: true},
		{name: "wishes without hooks", chain: NewChain(Hooks{WantsSent: many, WantsReply: strings})},
		{
			name: "wishes that are met", sent: true, reply: true, asked: 2,
			chain: NewChain(Hooks{Sent: all.Sent, WantsSent: many, Reply: all.Reply, WantsReply: strings}),
		},
		{
			name: "wishes that are not", asked: 2,
			chain: NewChain(Hooks{Sent: all.Sent, WantsSent: large, Reply: all.Reply, WantsReply: errors}),
		},
		{
			name: "all are asked", sent: true, reply: true, asked: 4,
			chain: NewChain(
				Hooks{Sent: all.Sent, WantsSent: many, Reply: all.Reply, WantsReply: errors},
				Hooks{Sent: all.Sent, WantsSent: large, Reply: all.Reply, WantsReply: strings}),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked = 0
			assert.Equal(t, tt.request, tt.chain.WantsRequest(nil, nil, nil))
			assert.Equal(t, tt.sent, tt.chain.WantsSent(20, 10))
			assert.Equal(t, tt.reply, tt.chain.WantsReply(nil, nil, []byte("$0\r\n\r\n")))
			assert.Equal(t, tt.asked, asked)
			assert.Equal(t, Pass, tt.chain.Request(&Request{}))
			tt.chain.Sent(&Sending{})
			assert.Equal(t, Pass, tt.chain.Reply(&Reply{}))
		})
	}
}

func TestVerdictsOfAChain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		verdicts []Verdict
		want     Verdict
		called   int
	}{
		{"all pass", []Verdict{Pass, Pass, Pass}, Pass, 3},
		{"a change by the first", []Verdict{Changed, Pass, Pass}, Changed, 3},
		{"a change by the last", []Verdict{Pass, Pass, Changed}, Changed, 3},
		{"changes by all", []Verdict{Changed, Changed, Changed}, Changed, 3},
		{"an answer ends it", []Verdict{Pass, Answered, Changed}, Answered, 2},
		{"an answer behind a change", []Verdict{Changed, Answered, Pass}, Answered, 2},
		{"work stops it", []Verdict{Later, Pass, Pass}, Later, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got calls
			c := NewChain(
				got.deciding("a", tt.verdicts[0], tt.verdicts[2]),
				got.deciding("b", tt.verdicts[1], tt.verdicts[1]),
				got.deciding("c", tt.verdicts[2], tt.verdicts[0]))
			assert.Equal(t, tt.want, c.Request(&Request{}))
			assert.Equal(t, calls{"request a", "request b", "request c"}[:tt.called], got)
			got = nil
			if tt.want != Answered { // there is no answer to a reply
				assert.Equal(t, tt.want, c.Reply(&Reply{}))
				assert.Equal(t, calls{"reply c", "reply b", "reply a"}[:tt.called], got)
			}
		})
	}
}

// fakeWork is work that brings what was made beforehand.
type fakeWork struct {
	out  *eventloop.Buf // nil: it leaves things as they are
	args []resp.Arg
	did  []byte // what Do was called with
}

func (w *fakeWork) Long() bool { return false }

func (w *fakeWork) Room() int { return 0 }

func (w *fakeWork) Begin() {}

func (w *fakeWork) Do(bytes []byte) { w.did = bytes }

func (w *fakeWork) Finish() (*eventloop.Buf, []resp.Arg) { return w.out, w.args }

// working is a filter that has all its work done beside the loop.
func (c *calls) working(name string, w *fakeWork) Hooks {
	h := c.deciding(name, Later, Later)
	request, reply := h.Request, h.Reply
	h.Request = func(r *Request) Verdict { r.Work = w; return request(r) }
	h.Reply = func(r *Reply) Verdict { r.Work = w; return reply(r) }
	return h
}

// bufOf is a buffer with one reference that the test keeps, and one for the chain.
func bufOf(l *eventloop.Loop, s string) *eventloop.Buf {
	b := l.NewBuf(len(s))
	b.B = append(b.B, s...)
	b.Retain()
	return b
}

// changing is a filter that changes everything to the same bytes, in memory it hands over.
func (c *calls) changing(name string, b *eventloop.Buf) Hooks {
	h := c.watcher(name)
	request, reply := h.Request, h.Reply
	h.Request = func(r *Request) Verdict {
		request(r)
		release(r.Memory)
		r.Frame, r.Memory = b.B, b
		return Changed
	}
	h.Reply = func(r *Reply) Verdict {
		reply(r)
		release(r.Memory)
		r.Bytes, r.Memory = b.B, b
		return Changed
	}
	return h
}

func TestChainGoesOnBehindTheFilterThatAskedForLater(t *testing.T) {
	l := testLoop(t)
	var got calls
	first := &fakeWork{out: bufOf(l, "one"), args: []resp.Arg{{Off: 1, Len: 2}}}
	second := &fakeWork{}
	c := NewChain(got.watcher("a"), got.working("b", first), got.watcher("c"), got.working("d", second), got.watcher("e"))

	r := Request{Frame: []byte("frame"), Args: []resp.Arg{{Off: 0, Len: 5}}}
	require.Equal(t, Later, c.Request(&r))
	assert.Equal(t, calls{"request a", "request b"}, got)
	r.Finish()
	assert.Nil(t, r.Work)
	assert.Equal(t, "one", string(r.Frame))
	assert.Equal(t, first.args, r.Args)
	assert.Same(t, first.out, r.Memory)
	require.Equal(t, Later, c.Request(&r))
	assert.Equal(t, calls{"request a", "request b", "request c", "request d"}, got)
	r.Finish()
	assert.Equal(t, "one", string(r.Frame), "work that brings nothing leaves what was there")
	assert.Equal(t, first.args, r.Args)
	assert.Equal(t, Changed, c.Request(&r), "a change is not forgotten")
	assert.Equal(t, calls{"request a", "request b", "request c", "request d", "request e"}, got)
	assert.Equal(t, Changed, c.Request(&r), "there is nothing behind the end")
	assert.Len(t, got, 5)
	r.Memory.Release()
	assert.True(t, first.out.Sole())

	got, first.out = nil, bufOf(l, "two")
	y := Reply{Bytes: []byte("reply")}
	require.Equal(t, Later, c.Reply(&y))
	assert.Equal(t, calls{"reply e", "reply d"}, got)
	y.Finish()
	assert.Nil(t, y.Work)
	assert.Equal(t, "reply", string(y.Bytes))
	assert.Nil(t, y.Memory)
	require.Equal(t, Later, c.Reply(&y))
	assert.Equal(t, calls{"reply e", "reply d", "reply c", "reply b"}, got)
	y.Finish()
	assert.Equal(t, "two", string(y.Bytes))
	assert.Equal(t, Changed, c.Reply(&y))
	assert.Equal(t, calls{"reply e", "reply d", "reply c", "reply b", "reply a"}, got)
	y.Memory.Release()
	assert.True(t, first.out.Sole())
}

func TestWorkThatBringsNothingIsNoChange(t *testing.T) {
	var got calls
	c := NewChain(got.working("a", &fakeWork{}))
	r, y := Request{}, Reply{}
	require.Equal(t, Later, c.Request(&r))
	r.Finish()
	assert.Equal(t, Pass, c.Request(&r))
	require.Equal(t, Later, c.Reply(&y))
	y.Finish()
	assert.Equal(t, Pass, c.Reply(&y))
}

func TestFinishGivesBackWhatAnEarlierFilterMade(t *testing.T) {
	l := testLoop(t)
	var got calls
	early, late := bufOf(l, "early"), bufOf(l, "late")
	change, work := got.changing("a", early), got.working("b", &fakeWork{out: late})

	c := NewChain(change, work)
	r := Request{}
	require.Equal(t, Later, c.Request(&r))
	assert.Same(t, early, r.Memory)
	r.Finish()
	assert.True(t, early.Sole(), "only the test still has it")
	assert.False(t, late.Sole(), "it is the request's")
	assert.Equal(t, Changed, c.Request(&r))
	r.Memory.Release()
	assert.True(t, late.Sole())

	early.Retain()
	late.Retain()
	c = NewChain(work, change) // replies come to the last one first
	y := Reply{}
	require.Equal(t, Later, c.Reply(&y))
	assert.Same(t, early, y.Memory)
	y.Finish()
	assert.True(t, early.Sole())
	assert.False(t, late.Sole())
	assert.Equal(t, Changed, c.Reply(&y))
	y.Memory.Release()
	assert.True(t, late.Sole())
}

func TestAReplyBeginsAtTheFirstFilter(t *testing.T) {
	var got calls
	c := NewChain(got.deciding("a", Pass, Changed), got.watcher("b"))
	r := Reply{Slot: 5}
	require.Equal(t, Changed, c.Reply(&r))
	require.Len(t, got, 2)
	r.Begin([]byte("next"))
	assert.Equal(t, "next", string(r.Bytes))
	assert.Equal(t, 5, r.Slot, "the caller sets the rest")
	require.Equal(t, Changed, c.Reply(&r))
	assert.Len(t, got, 4)

	got = nil
	c = NewChain(got.watcher("a"))
	r.Begin([]byte("another"))
	assert.Equal(t, Pass, c.Reply(&r), "what was changed is forgotten")
}

// What Compress changes behind another filter may no more lie in that one's memory, nor hold it.
func TestCompressGivesBackWhatAnEarlierFilterMade(t *testing.T) {
	plain := string(jsonValue(300, 1))
	for name, size := range map[string]int{"in memory of the filter": 300, "in memory of its own": 100_000} {
		t.Run("request "+name, func(t *testing.T) {
			f := newCompression(t, bothAlgorithms["snappy"])
			r := requestOf(t, "SET", "key", string(jsonValue(size, 1)))
			var got calls
			early := bufOf(f.loop, string(r.Frame))
			require.Equal(t, Changed, NewChain(got.changing("a", early), f.Hooks()).Request(r))
			require.EqualValues(t, 1, f.stats.Compressed[0].Values)
			assert.True(t, early.Sole())
			assert.False(t, early == r.Memory, "the memory of the earlier filter")
		})
	}
	t.Run("reply", func(t *testing.T) {
		f := newCompression(t, bothAlgorithms["snappy"])
		r := replyTo("get", "+OK\r\n")
		var got calls
		early := bufOf(f.loop, string(resp.AppendBulk(nil, storedForm(0, []byte(plain)))))
		require.Equal(t, Changed, NewChain(f.Hooks(), got.changing("a", early)).Reply(r))
		require.EqualValues(t, 1, f.stats.Decompressed[0].Values)
		assert.True(t, early.Sole())
		assert.False(t, early == r.Memory, "the memory of the earlier filter")
	})
}
