package filter

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/internal/testvalues"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// bothAlgorithms are settings that compress all that gets smaller.
var bothAlgorithms = map[string]Compression{
	"snappy": {Enable: true, Algorithm: compress.Snappy, Threshold: 32, Limits: wide},
	"zstd":   {Enable: true, Algorithm: compress.Zstd, Threshold: 32, Level: 3, Limits: wide},
}

// wide are the limits that are the default.
var wide = compress.Limits{Size: 512 << 20, Ratio: 1000}

// compression is a filter with what it reports.
type compression struct {
	*Compress
	stats  CompressStats
	broken []error // what the hook of that name was called with
}

func newCompression(t testing.TB, set Compression) *compression {
	t.Helper()
	return compressionOn(testLoop(t), set)
}

func compressionOn(l *eventloop.Loop, set Compression) *compression {
	c := &compression{}
	c.Compress = NewCompress(l, set, &c.stats, func(_ *Reply, err error) { c.broken = append(c.broken, err) })
	return c
}

// requestOf is a command as the proxy hands it to the filters.
func requestOf[T string | []byte](t testing.TB, args ...T) *Request {
	t.Helper()
	frame := resp.AppendCommand(nil, args...)
	return &Request{Info: command.Resolve(frame, argsOf(t, frame)), Frame: frame, Args: argsOf(t, frame)}
}

// argsOf parses a frame, which must be a whole one.
func argsOf(t testing.TB, frame []byte) []resp.Arg {
	t.Helper()
	var p resp.Parser
	n, err := p.Parse(frame)
	require.NoError(t, err, "%.200q", frame)
	require.Equal(t, len(frame), n, "%.200q", frame)
	return p.Args
}

// replyTo is a reply to the command of that name.
func replyTo[T string | []byte](name string, reply T) *Reply {
	return &Reply{Info: command.Lookup([]byte(name)), Note: new(Note), Slot: 7, Bytes: []byte(reply)}
}

// jsonValue makes a value of n bytes of JSON.
func jsonValue(n int, seed uint64) []byte { return testvalues.JSON(rand.New(rand.NewPCG(seed, 1)), n) }

func randomValue(n int, seed uint64) []byte {
	return testvalues.Random(rand.New(rand.NewPCG(seed, 1)), n)
}

// likeStored begins like the stored form and is none.
const likeStored = "(P$\x00\r\n"

// storedForm is v compressed, whatever comes out.
func storedForm(a compress.Algorithm, v []byte) []byte {
	return new(compress.Codec).Append(nil, a, 1, v)
}

// readBack is what a client gets of a value that is stored as v.
func readBack(v []byte, lim compress.Limits) []byte {
	if _, ok := compress.Detect(v); !ok {
		return v
	}
	n, err := compress.DecodedLen(v, lim)
	if err != nil {
		return v
	}
	decoded, err := new(compress.Codec).AppendDecoded([]byte{}, v, n)
	if err != nil {
		return v
	}
	return decoded
}

// fields cuts a line, with "" for an empty argument.
func fields(line string) []string {
	args := strings.Fields(line)
	for i := range args {
		if args[i] == `""` {
			args[i] = ""
		}
	}
	return args
}

// sparse returns n zero bytes that take memory only where they are written to.
func sparse(t testing.TB, n int) []byte {
	t.Helper()
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(b)) })
	return b
}
