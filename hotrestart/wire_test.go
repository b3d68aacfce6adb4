package hotrestart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// connection is one within this process.
func connection(t *testing.T) (a, b *wire) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	end := func(fd int) *wire {
		f := os.NewFile(uintptr(fd), "")
		defer f.Close()
		conn, err := net.FileConn(f)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { _ = conn.Close() })
		return newWire(conn.(*net.UnixConn))
	}
	return end(fds[0]), end(fds[1])
}

func TestMessagesArriveAsTheyWereSent(t *testing.T) {
	keepsFiles(t)
	null, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer null.Close()
	fd, err := descriptor(null)
	require.NoError(t, err)
	a, b := connection(t)
	for _, fds := range []int{0, 1, maxFDs} {
		for _, body := range []int{0, 10, maxBody - len(`{"text":""}`)} {
			for _, raw := range []int{0, 1, inOne - 1, inOne, inOne + 1, 3 << 20} {
				t.Run(fmt.Sprint(fds, body, raw), func(t *testing.T) {
					var sent any
					if body > 0 {
						sent = text{string(bytes.Repeat([]byte("b"), body))}
					}
					data := bytes.Repeat([]byte("r"), raw)
					failed := make(chan error, 1)
					go func() {
						failed <- a.send(kindUpdate, sent, repeat(fd, fds), data[:raw/2], nil, data[raw/2:])
					}()
					m, err := b.receive()
					require.NoError(t, err)
					require.NoError(t, <-failed)
					defer m.close()
					assert.Equal(t, kindUpdate, m.kind)
					assert.False(t, m.truncated)
					assert.True(t, bytes.Equal(data, m.raw))
					assert.Len(t, m.fds, fds)
					for _, fd := range m.fds {
						flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
						require.NoError(t, err)
						assert.Equal(t, unix.FD_CLOEXEC, flags)
					}
					if body > 0 {
						var got text
						require.NoError(t, m.decode(&got))
						assert.Equal(t, sent, got)
					}
				})
			}
		}
	}
}

func repeat(fd, n int) (fds []int) {
	for range n {
		fds = append(fds, fd)
	}
	return fds
}

// Messages that cannot be sent leave the connection as it was.
func TestMessagesAboveTheLimitsAreNotSent(t *testing.T) {
	keepsFiles(t)
	a, b := connection(t)
	for name, err := range map[string]error{
		"descriptors": a.send(kindUpdate, nil, repeat(0, maxFDs+1)),
		"body":        a.send(kindUpdate, text{string(make([]byte, maxBody))}, nil),
		"json":        a.send(kindUpdate, func() {}, nil),
		"closed":      a.send(kindUpdate, nil, []int{1 << 20}),
	} {
		require.ErrorIs(t, err, errNotSent, name)
	}
	require.NoError(t, a.send(kindReady, nil, nil))
	m, err := b.receive()
	require.NoError(t, err)
	require.Equal(t, kindReady, m.kind)
}

func TestDescriptorsBesideAHeaderAreDropped(t *testing.T) {
	keepsFiles(t)
	a, b := connection(t)
	head := header{kind: kindReady, raw: 3}.append(nil)
	_, err := a.socket.Write(head)
	require.NoError(t, err)
	_, _, err = a.socket.WriteMsgUnix([]byte("raw"), unix.UnixRights(0, 1, 2), nil)
	require.NoError(t, err)
	m, err := b.receive()
	require.NoError(t, err)
	assert.Empty(t, m.fds)
	assert.Equal(t, "raw", string(m.raw))
}

func TestEndOfTheConnection(t *testing.T) {
	whole := append(header{kind: kindProgress, body: 2, raw: 3}.append(nil), "{}raw"...)
	for n := range whole {
		a, b := connection(t)
		_, err := a.socket.Write(whole[:n])
		require.NoError(t, err)
		require.NoError(t, a.socket.Close())
		_, err = b.receive()
		if n == 0 {
			require.ErrorIs(t, err, io.EOF)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		require.True(t, isEnd(err))
	}
}

// A length is only believed as far as bytes have come.
func TestMemoryIsNotTakenAheadOfTheBytes(t *testing.T) {
	b := bytes.Repeat([]byte("x"), 1<<20)
	result := testing.Benchmark(func(tb *testing.B) {
		tb.ReportAllocs()
		for range tb.N {
			got, err := readGrowing(bytes.NewReader(b), maxRaw)
			if got != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
				tb.Fatal(err)
			}
		}
	})
	assert.Less(t, result.AllocedBytesPerOp(), int64(8<<20))

	got, err := readGrowing(bytes.NewReader(b), len(b))
	require.NoError(t, err)
	assert.Equal(t, len(b), cap(got), "no more than it is")
}

// pieces is a source that delivers bytes in pieces, and descriptors with each.
type pieces struct {
	data []byte
	size int   // of a piece
	fds  []int // per piece
	made []int // all that were delivered
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.data)
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) recv(b []byte) (n int, fds []int, truncated bool, err error) {
	if len(p.fds) > 0 {
		for range p.fds[0] {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				panic(err)
			}
			fds = append(fds, fd)
		}
		p.made = append(p.made, fds...)
		truncated = p.fds[0] > 3
		p.fds = p.fds[1:]
	}
	n, err = p.Read(b)
	return n, fds, truncated, err
}

// closed tells whether all descriptors are that were delivered.
func (p *pieces) closed() bool {
	for _, fd := range p.made {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			return false
		}
	}
	return true
}

func FuzzReceive(f *testing.F) {
	bytes := func(h header, rest string) []byte { return append(h.append(nil), rest...) }
	f.Add(bytes(header{kind: kindReady}, ""), []byte{0})
	f.Add(bytes(header{kind: kindProgress, body: 2, raw: 3}, "{}raw"), []byte{})
	f.Add(bytes(header{kind: kindSession, fds: 1, body: 8}, `{"id":1}`), []byte{1})
	f.Add(bytes(header{kind: kindOffer, fds: 2}, ""), []byte{1, 1})
	f.Add(bytes(header{kind: kindOffer, fds: 6}, ""), []byte{5})
	f.Add(bytes(header{kind: kindOffer, fds: 2}, ""), []byte{3})
	f.Add(bytes(header{kind: kindOffer, fds: 300}, ""), []byte{3})
	f.Add(bytes(header{kind: kindGo, raw: 1 << 40}, "x"), []byte{0})
	f.Add([]byte("SmHR"), []byte{1})
	f.Fuzz(func(t *testing.T, data, lies []byte) {
		var first *message
		for size := 1; size <= len(data)+1; size++ { // split at every byte
			src := &pieces{data: data, size: size}
			for _, n := range lies[:min(len(lies), headerSize)] {
				src.fds = append(src.fds, int(n%8))
			}
			m, err := receive(src)
			if err != nil {
				require.True(t, src.closed(), "descriptors are left open after: %v", err)
				continue
			}
			require.LessOrEqual(t, len(m.fds), len(src.made))
			h, err := parseHeader(data[:headerSize])
			require.NoError(t, err)
			require.Equal(t, h.kind, m.kind)
			require.True(t, h.fds == len(m.fds) || m.truncated && len(m.fds) < h.fds)
			m.close()
			require.True(t, src.closed())
			// What was read is what was sent.
			again := append(append(h.append(nil), m.body...), m.raw...)
			require.Equal(t, len(data)-len(src.data), len(again))
			require.Equal(t, data[headerSize:len(again)], again[headerSize:])
			if first != nil {
				require.Equal(t, first.body, m.body)
				require.Equal(t, first.raw, m.raw)
			}
			first = m
		}
	})
}
