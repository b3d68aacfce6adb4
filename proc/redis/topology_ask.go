package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/resp"
)

const (
	askTimeout  = 2 * time.Second        // for one node, dialling included
	askLimit    = 5 * time.Second        // for all nodes, while none has answered
	askHedge    = 200 * time.Millisecond // of silence until the next node is asked as well
	askOthers   = 3                      // nodes that are asked besides the first one
	othersWait  = 300 * time.Millisecond // for those, on a network that is not slower
	othersMax   = time.Second            // for those in any case
	maxTopology = 64 << 20               // bytes of a reply
)

// answer is what one node says.
type answer struct {
	from  string
	slots *cluster.Map // nil with err
	epoch uint64       // highest config epoch of a slot's owner; 0 when it was not asked or is not told
	took  time.Duration

	version string // redis_version, when it was asked
	err     error
}

// askOne asks one node after the other until one gives a usable map. The next one is
// asked as well when the last one is silent for askHedge or has failed; when one has
// answered nobody waits for the others.
func (t *topology) askOne(ctx context.Context, addrs []string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	answers := make(chan answer, len(addrs))
	hedge := time.NewTimer(0)
	defer hedge.Stop()
	var errs []error
	for next := 0; len(errs) < len(addrs); {
		select {
		case <-hedge.C:
			if next > 0 {
				t.silent[addrs[next-1]] = time.Now()
			}
		case a := <-answers:
			if t.heard(a); a.err == nil {
				return a, nil
			}
			errs = append(errs, a.err)
		case <-ctx.Done():
			return answer{}, noAnswer(append(errs, ctx.Err()))
		}
		if next < len(addrs) {
			t.start(ctx, addrs[next], false, answers)
			next++
			hedge.Reset(askHedge)
		}
	}
	return answer{}, noAnswer(errs)
}

// askSeveral asks all of the nodes at once, for config epochs too, and returns the
// good answers that come in time.
func (t *topology) askSeveral(ctx context.Context, addrs []string, wait time.Duration) []answer {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	answers := make(chan answer, len(addrs))
	waiting := make(map[string]bool, len(addrs))
	for _, addr := range addrs {
		waiting[addr] = true
		t.start(ctx, addr, true, answers)
	}
	var good []answer
	for len(waiting) > 0 {
		select {
		case a := <-answers:
			delete(waiting, a.from)
			if t.heard(a); a.err == nil {
				good = append(good, a)
			}
		case <-ctx.Done():
			for addr := range waiting {
				t.silent[addr] = time.Now()
			}
			return good
		}
	}
	return good
}

// start asks a node on a goroutine of its own. There has to be room for the answer.
func (t *topology) start(ctx context.Context, addr string, epochs bool, to chan<- answer) {
	t.asks.Go(func() { to <- t.ask(ctx, addr, epochs) })
}

// heard notes whether a node answers, and its version when none is known.
func (t *topology) heard(a answer) {
	delete(t.silent, a.from)
	if a.version != "" {
		t.version.Store(&a.version)
	}
	if a.err != nil {
		t.silent[a.from] = time.Now()
	}
}

// ask has one conversation with one node. It ends at the latest with ctx.
func (t *topology) ask(ctx context.Context, addr string, epochs bool) answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	began := time.Now()
	a := answer{from: addr}
	conn, err := t.dial(ctx, addr)
	if err != nil {
		a.err = err // names the address
		return a
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	q := &question{conn: conn, r: bufio.NewReaderSize(conn, 16<<10), addr: addr}
	if err := q.run(&a, epochs, t.version.Load() == nil); err != nil {
		a.err = fmt.Errorf("ask %s: %w", addr, err)
	}
	a.took = time.Since(began)
	return a
}

// question is a conversation with one node.
type question struct {
	conn net.Conn
	r    *bufio.Reader
	addr string
}

// run asks everything at once: one round trip, and answers of one moment.
func (q *question) run(a *answer, epochs, version bool) error {
	asked := resp.AppendCommand(nil, "CLUSTER", "SLOTS")
	if epochs {
		asked = resp.AppendCommand(asked, "CLUSTER", "NODES")
	}
	if version {
		asked = resp.AppendCommand(asked, "INFO", "server")
	}
	if _, err := q.conn.Write(asked); err != nil {
		return err
	}
	slots, err := q.reply()
	if err != nil && !isErrorReply(err) {
		return err
	}
	if epochs {
		a.epoch = q.epoch()
	}
	if version {
		a.version = q.version()
	}
	if err == nil {
		a.slots, err = cluster.ParseSlots(slots, q.addr)
	} else {
		a.slots, err = q.otherMap(err)
	}
	if err == nil && a.slots.Covered() == 0 {
		err = errors.New("it knows no owner of any slot")
	}
	return err
}

// epoch reads CLUSTER NODES, which may be refused.
func (q *question) epoch() uint64 {
	reply, err := q.reply()
	if err != nil {
		return 0
	}
	m, err := cluster.ParseNodes(reply, q.addr)
	if err != nil {
		return 0
	}
	return m.OwnerEpoch()
}

// version reads INFO, which may be refused.
func (q *question) version() string {
	reply, err := q.reply()
	if err != nil {
		return ""
	}
	_, after, _ := bytes.Cut(reply, []byte("redis_version:"))
	version, _, _ := bytes.Cut(after, []byte("\r\n"))
	return string(version)
}

// otherMap asks in the other ways, when the server does not know CLUSTER SLOTS or does
// not allow it. Any other refusal, such as LOADING, holds for them as well.
func (q *question) otherMap(refusal error) (*cluster.Map, error) {
	if text := refusal.Error(); !strings.HasPrefix(text, "ERR") && !strings.HasPrefix(text, "NOPERM") {
		return nil, refusal
	}
	if reply, err := q.ask("CLUSTER", "SHARDS"); err == nil {
		return cluster.ParseShards(reply, q.addr, false)
	}
	reply, err := q.ask("CLUSTER", "NODES")
	if err != nil {
		return nil, refusal
	}
	return cluster.ParseNodes(reply, q.addr)
}

func isErrorReply(err error) bool {
	var e resp.ErrorReply
	return errors.As(err, &e)
}

// ask sends a command and returns the reply.
func (q *question) ask(args ...string) ([]byte, error) {
	if _, err := q.conn.Write(resp.AppendCommand(nil, args...)); err != nil {
		return nil, err
	}
	return q.reply()
}

// reply reads the next reply; an error reply is an error.
func (q *question) reply() ([]byte, error) {
	reply, err := readReply(q.r)
	if err != nil {
		return nil, err
	}
	if reply[0] == '-' {
		return nil, resp.ErrorReply(strings.TrimSpace(string(reply[1:])))
	}
	return reply, nil
}

// readReply reads one whole reply.
func readReply(r *bufio.Reader) ([]byte, error) {
	var s resp.Scanner
	var buf []byte
	for {
		if _, err := r.Peek(1); err != nil {
			return nil, err
		}
		chunk, _ := r.Peek(r.Buffered())
		had := len(buf)
		buf = append(buf, chunk...)
		n, err := s.Scan(buf)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			_, _ = r.Discard(n - had)
			return buf[:n], nil
		}
		if len(buf) > maxTopology {
			return nil, errors.New("reply is larger than " + strconv.Itoa(maxTopology) + " bytes")
		}
		_, _ = r.Discard(len(chunk))
	}
}
