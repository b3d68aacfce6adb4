package filter

import (
	"bytes"
	"slices"
	"sync"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// Compression says which values are compressed, and how. It is a part of a service's immutable
// settings.
type Compression struct {
	Enable    bool // else values are decompressed only
	Algorithm compress.Algorithm
	Threshold int // bytes, from which on values are compressed
	Level     int // of zstd, 1..22
	Limits    compress.Limits
}

// Compress compresses the values of strings and hashes that are written, and decompresses those that are
// read.
type Compress struct {
	loop   *eventloop.Loop
	set    Compression
	coder  coder
	codecs sync.Pool // of *compress.Codec, for work on other goroutines
	broken func(*Reply, error)

	// scratch
	values []int      // arguments to be compressed
	args   []resp.Arg // of the changed frame
	out    []byte     // a changed frame that is small
	search            // of a reply
	answer []byte
}

// coder is a codec with what it has counted.
type coder struct {
	*compress.Codec
	set   *Compression
	stats *CompressStats
	err   error // why a value could not be decompressed
}

// NewCompress makes a filter for a loop. stats is changed on that loop only. broken is called on the
// loop when a stored value cannot be decompressed and is passed on as it is.
func NewCompress(loop *eventloop.Loop, set Compression, stats *CompressStats, broken func(r *Reply, err error)) *Compress {
	c := &Compress{loop: loop, set: set, broken: broken}
	c.codecs.New = func() any { return new(compress.Codec) }
	c.coder = coder{Codec: new(compress.Codec), set: &c.set, stats: stats}
	return c
}

// Hooks makes the filter a part of a chain.
func (c *Compress) Hooks() Hooks {
	h := Hooks{WantsReply: c.wantsReply, Reply: c.reply}
	if c.set.Enable {
		h.WantsRequest, h.Request = c.wantsRequest, c.request
	}
	return h
}

const (
	// maxScratch is the most bytes of a changed frame that lie in memory of the filter.
	maxScratch = 64 << 10
	// laterFrom is how many bytes are worked on while the loop waits, about a millisecond's worth; as
	// many of snappy, and less of what takes longer.
	laterFrom = 512 << 10
	// valueCost is how many bytes take as long as what each value takes whatever its size.
	valueCost = 512
	// copyShare is how many bytes are copied in the time that it takes to compress one.
	copyShare = 16
	// longFrom is the work, as of laterFrom, that other work does not wait for.
	longFrom = 16 * laterFrom
	// briefFrame is up to how many bytes it is quicker to look for the first byte of the header than to look at
	// each value.
	briefFrame = 512
	// keepScratch is the longest list that is kept.
	keepScratch = 4096
)

// effort is how many times as long as with snappy it takes to compress something.
func (s *Compression) effort() int {
	switch {
	case s.Algorithm == compress.Snappy:
		return 1
	case s.Level <= 2:
		return 3
	case s.Level <= 5:
		return 6
	}
	return 20
}

// wantsRequest leaves out what has nothing to be refused, and values that are all too short.
func (c *Compress) wantsRequest(info *command.Info, frame []byte, args []resp.Arg) bool {
	rule := &rules[info.ID]
	switch {
	case rule.disabled != nil && len(args) > rule.plain:
		return true
	case rule.values == nil:
		return false
	case len(frame) >= min(c.set.Threshold, briefFrame) || rule.count == nil || bytes.IndexByte(frame, header[0]) >= 0:
		return true
	}
	c.coder.stats.Skipped[Small] += uint64(rule.count(len(args)))
	return false
}

// request compresses what is worth it, and refuses what cannot work on values that may be compressed.
func (c *Compress) request(r *Request) Verdict {
	rule := &rules[r.Info.ID]
	if rule.disabled != nil {
		if with, disabled := rule.disabled(r); disabled {
			c.coder.stats.Disabled++
			c.answer = appendDisabled(c.answer[:0], r.Info, with)
			r.Answer = c.answer
			return Answered
		}
	}
	if rule.values == nil {
		return Pass
	}
	if cap(c.values) > keepScratch || cap(c.args) > keepScratch {
		c.values, c.args = nil, nil
	}
	c.values = rule.values(c.values[:0], r)
	bytes, room, misread := c.coder.choose(&c.values, r)
	switch {
	case misread:
		c.answer = append(c.answer[:0], "-ERR samaritan: a value that begins like a compressed one is longer than max_size: it would be read back decompressed\r\n"...)
		r.Answer = c.answer
		return Answered
	case len(c.values) == 0:
		return Pass
	}
	if cost := len(r.Frame)/copyShare + (bytes+valueCost*len(c.values))*c.set.effort(); cost >= laterFrom {
		c.coder.stats.Offloaded++
		r.Work = c.newCompressWork(r, room, cost)
		return Later
	}
	return c.compress(r, room)
}

// compress does it at once, into scratch memory if there is little.
func (c *Compress) compress(r *Request, room int) Verdict {
	c.args = append(c.args[:0], r.Args...)
	if room <= maxScratch {
		if c.out == nil {
			c.out = make([]byte, 0, maxScratch)
		}
		out, changed := c.coder.rewrite(c.out[:0], r.Frame, r.Args, c.args, c.values)
		if !changed {
			return Pass
		}
		release(r.Memory)
		r.Frame, r.Args, r.Memory = out, c.args, nil
		return Changed
	}
	b := c.loop.NewBuf(room)
	out, changed := c.coder.rewrite(b.B, r.Frame, r.Args, c.args, c.values)
	if !changed {
		b.Release()
		return Pass
	}
	b.B = out
	release(r.Memory)
	r.Frame, r.Args, r.Memory = out, c.args, b
	return Changed
}

func appendDisabled(dst []byte, info *command.Info, with string) []byte {
	dst = append(append(append(dst, "-ERR command '"...), info.Name...), '\'')
	if with != "" {
		dst = append(append(dst, " with "...), with...)
	}
	return append(dst, " is disabled in compress mode\r\n"...)
}

// choose leaves the values that it is worth to compress. It tells how many bytes they have together, and
// how many the frame may take while that is done; or that a value would not be read back as it is, and cannot be
// stored in another form.
func (c *coder) choose(values *[]int, r *Request) (bytes, room int, misread bool) {
	chosen := (*values)[:0]
	room = len(r.Frame)
	for _, i := range *values {
		v := argument(r.Frame, r.Args[i])
		if c.worth(v) {
			chosen = append(chosen, i)
			bytes += len(v)
			room += c.bound(v) - len(v) + longestHeader
		} else if _, likeStored := compress.Detect(v); likeStored {
			_, err := compress.DecodedLen(v, c.set.Limits)
			misread = misread || err == nil
		}
	}
	*values = chosen
	return bytes, room, misread
}

// bound is the most bytes that any stored form of a value takes.
func (c *coder) bound(v []byte) int {
	return max(compress.Bound(c.set.Algorithm, len(v)), compress.Bound(compress.Snappy, len(v)))
}

// longestHeader is of the longest bulk string.
const longestHeader = len("$536870912\r\n")

// worth tells whether a value should be compressed. One that looks like the stored form has to be, or it
// would be taken for that when it is read.
func (c *coder) worth(v []byte) bool {
	skipped := &c.stats.Skipped
	switch _, likeStored := compress.Detect(v); {
	case len(v) > c.set.Limits.Size, likeStored && c.bound(v) > resp.MaxBulk:
		skipped[Oversized]++
		return false
	case likeStored:
		return true
	case len(v) < c.set.Threshold:
		skipped[Small]++
		return false
	case !compress.Compressible(v):
		skipped[Incompressible]++
		return false
	}
	return true
}

// rewrite appends the frame to dst, with the values compressed that get smaller. args says where the
// arguments lie in the frame; moved gets where they lie in what is appended.
func (c *coder) rewrite(dst, frame []byte, args, moved []resp.Arg, values []int) (_ []byte, changed bool) {
	begin := len(dst)
	taken, next := 0, 0 // bytes of frame, and entries of moved, that are done
	upTo := func(off, arg int) {
		dst = append(dst, frame[taken:off]...)
		taken = off
		for shift := uint32(len(dst) - begin - off); next < arg; next++ {
			moved[next] = resp.Arg{Off: args[next].Off + shift, Len: args[next].Len}
		}
	}
	for _, i := range values {
		upTo(endOf(args[i-1]), i)
		mark := len(dst)
		var stored int
		if dst, stored = c.appendStored(dst, argument(frame, args[i])); stored == 0 {
			dst = dst[:mark]
			continue
		}
		moved[i] = resp.Arg{Off: uint32(len(dst) - begin - stored - len("\r\n")), Len: uint32(stored)}
		taken, next = endOf(args[i]), i+1
		changed = true
	}
	upTo(len(frame), len(args))
	return dst, changed
}

// endOf is where what follows an argument begins.
func endOf(a resp.Arg) int { return int(a.Off+a.Len) + len("\r\n") }

// appendStored appends the stored form of a value as a bulk string, and returns its length; 0 when the value
// is better left as it is.
func (c *coder) appendStored(dst, v []byte) (_ []byte, stored int) {
	mark := len(dst)
	dst = resp.AppendBulkHeader(dst, c.bound(v)) // not shorter than the one that will be there
	gap := len(dst) - mark
	dst = c.Append(dst, c.set.Algorithm, c.set.Level, v)
	stored = len(dst) - mark - gap
	algorithm := c.set.Algorithm
	_, likeStored := compress.Detect(v)
	switch unreadable := len(v) > c.set.Limits.Ratio*stored; {
	case unreadable && likeStored:
		algorithm = compress.Snappy
		dst = compress.AppendPlain(dst[:mark+gap], v)
		stored = len(dst) - mark - gap
	case unreadable:
		c.stats.Skipped[Ratio]++
		return dst, 0
	case stored >= len(v) && !likeStored:
		c.stats.Skipped[NotSmaller]++
		return dst, 0
	}
	n := &c.stats.Compressed[algorithm]
	n.Values++
	n.Before += uint64(len(v))
	n.After += uint64(stored)
	head := resp.AppendBulkHeader(dst[:mark:mark+gap], stored)
	if len(head) < mark+gap {
		dst = dst[:len(head)+copy(dst[len(head):], dst[mark+gap:])]
	}
	return append(dst, "\r\n"...), stored
}

// compressWork is the compression of a large request.
type compressWork struct {
	filter  *Compress
	coder   coder
	args    []resp.Arg
	moved   []resp.Arg
	values  []int
	out     *eventloop.Buf
	cost    int
	changed bool
}

func (c *Compress) newCompressWork(r *Request, room, cost int) *compressWork {
	return &compressWork{
		cost:   cost,
		filter: c, coder: coder{set: &c.set, stats: new(CompressStats)},
		args: slices.Clone(r.Args), moved: slices.Clone(r.Args), values: slices.Clone(c.values), out: c.loop.NewBuf(room),
	}
}

// Long implements Work.
func (w *compressWork) Long() bool { return w.cost >= longFrom }

// Do implements Work.
func (w *compressWork) Do(frame []byte) {
	w.coder.Codec = w.filter.codecs.Get().(*compress.Codec)
	defer w.filter.codecs.Put(w.coder.Codec)
	w.out.B, w.changed = w.coder.rewrite(w.out.B, frame, w.args, w.moved, w.values)
}

// Finish implements Work.
func (w *compressWork) Finish() (*eventloop.Buf, []resp.Arg) {
	w.filter.coder.stats.Add(w.coder.stats)
	if !w.changed {
		w.out.Release()
		return nil, nil
	}
	return w.out, w.moved
}
