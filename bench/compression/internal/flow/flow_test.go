package flow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const brief = 20 * time.Millisecond

// rig is a server with some values.
func rig(t *testing.T) (addr string, keys []string, values [][]byte) {
	t.Helper()
	keys = []string{"a", "b", "c", "d", "e"}
	for _, key := range keys {
		values = append(values, []byte(strings.Repeat(key, 3000)))
	}
	addr = testredis.StartServer(t).Addr()
	require.NoError(t, Fill(t.Context(), addr, keys, values))
	require.NoError(t, Check(t.Context(), addr, keys, values))
	return addr, keys, values
}

func TestEveryRequestIsAnsweredAndCounted(t *testing.T) {
	addr, keys, values := rig(t)
	for _, c := range []struct {
		name      string
		options   Options
		exchanges []Exchange
	}{
		{"get", Options{1, 1}, []Exchange{Get("a", values[0])}},
		{"all in turns", Options{7, 1}, []Exchange{Get("a", values[0]), Set("b", values[1]), MGet(keys, 3000), Get("b", values[1])}},
		{"pipelines that wrap around", Options{3, 5}, []Exchange{Get("a", values[0]), Set("b", values[1]), Get("c", values[2])}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Dial(t.Context(), addr, c.exchanges, c.options)
			require.NoError(t, err)
			defer f.Close()
			for range 3 {
				n, err := f.Run(t.Context(), brief)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, n, c.options.Connections*c.options.Pipeline)
				assert.Zero(t, n%c.options.Pipeline)
			}
			some, err := f.Latencies(t.Context(), brief)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(some), c.options.Connections)
			for _, d := range some {
				assert.Positive(t, d)
			}
		})
	}
}

func TestUnexpectedReplyEndsTheRun(t *testing.T) {
	addr, _, values := rig(t)
	for _, c := range []struct {
		name     string
		exchange Exchange
	}{
		{"missing value", Get("no such key", values[0])},
		{"other length", Get("a", values[0][1:])},
		{"error", Exchange{Request: []byte("*1\r\n$3\r\nGET\r\n"), Header: "+OK\r\n", Size: 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Dial(t.Context(), addr, []Exchange{c.exchange}, Options{2, 1})
			require.NoError(t, err)
			defer f.Close()
			_, err = f.Run(t.Context(), brief)
			assert.ErrorIs(t, err, ErrReply)
		})
	}
}

func TestCheckSeesEveryByte(t *testing.T) {
	addr, keys, values := rig(t)
	values[4] = append([]byte("x"), values[4][1:]...)
	assert.ErrorIs(t, Check(t.Context(), addr, keys, values), ErrReply)
}

func TestContextEndsARun(t *testing.T) {
	addr, _, values := rig(t)
	f, err := Dial(t.Context(), addr, []Exchange{Get("a", values[0])}, Options{3, 1})
	require.NoError(t, err)
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	_, err = f.Run(ctx, time.Hour)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNobodyThere(t *testing.T) {
	_, err := Dial(t.Context(), "127.0.0.1:1", []Exchange{Get("a", nil)}, Options{3, 1})
	assert.Error(t, err)
}
