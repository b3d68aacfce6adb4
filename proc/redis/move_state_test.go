package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc"
)

func TestStateOfAnotherVersionIsRead(t *testing.T) {
	m, err := unpackSession([]byte(`{"v":7,"id":12,"proto":3,"name":"n","novelty":{"a":[1]}}`))
	require.NoError(t, err)
	st := m.state()
	assert.Equal(t, int64(12), st.ID)
	assert.Equal(t, 3, st.Proto)
	assert.Equal(t, "n", st.Name)

	m, err = unpackSession([]byte(`{"v":1}`))
	require.NoError(t, err)
	assert.Equal(t, 2, m.state().Proto)
	assert.Equal(t, firstReplySize, m.ReplySize)
	assert.WithinDuration(t, time.Now(), m.state().Created, time.Minute)

	m, err = unpackSession([]byte(`{"v":1,"created":1}`))
	require.NoError(t, err)
	assert.Greater(t, time.Since(m.state().Created), 50*365*24*time.Hour)
	m, err = unpackSession([]byte(`{"v":1,"created":9000000000000000}`))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(m.state().Created), time.Duration(0), "nobody comes from the future")
}

var badStates = map[string]string{
	"nothing":          ``,
	"no JSON":          `proto=3`,
	"no version":       `{"id":1}`,
	"unknown protocol": `{"v":1,"proto":4}`,
	"negative number":  `{"v":1,"id":-1}`,
	"huge number":      `{"v":1,"id":9223372036854775807}`,
	"bad name":         `{"v":1,"name":"a b"}`,
	"bad library":      `{"v":1,"lib_name":"a\nid=1"}`,
	"bad type":         `{"v":1,"name":5}`,
}

func TestClientWithABadStateIsRefused(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	for name, state := range badStates {
		begin, err := p.Adopt(proc.Client{FD: -1, State: []byte(state)})
		assert.Error(t, err, name)
		assert.Nil(t, begin)
	}
	assert.Zero(t, p.Clients())
}

func TestServiceThatDoesNotRunAdoptsNobody(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	p.Stop()
	_, err := p.Adopt(proc.Client{FD: -1, State: []byte(`{"v":1,"id":1}`)})
	assert.ErrorIs(t, err, errNotServing)
	p.MoveClients(t.Context(), nil) // returns, as there is nobody
}

func FuzzStateOfAMovedSession(f *testing.F) {
	for _, s := range badStates {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"v":1,"id":7,"proto":3,"name":"n","lib_name":"l","lib_ver":"1","no_evict":true,"created":5,"idle":9,"reply_size":3,"unsettled":"AAECAw=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := unpackSession(b)
		if err != nil {
			return
		}
		st := m.state()
		assert.True(t, st.Proto == 2 || st.Proto == 3)
		assert.True(t, st.ID >= 0 && st.ID <= maxClientID)
		assert.True(t, printable([]byte(st.Name+st.LibName+st.LibVersion)))
		assert.True(t, m.ReplySize > 0 && m.ReplySize <= sessionOutputMax)
		assert.True(t, m.Idle >= 0 && m.Idle*int64(time.Millisecond) >= 0)
		assert.GreaterOrEqual(t, time.Since(st.Created), time.Duration(0))
	})
}

func TestNumbersOfClientsAreNotGivenTwice(t *testing.T) {
	next := NextClientID()
	SetNextClientID(next - 1)
	assert.Equal(t, next, NextClientID(), "it does not go back")
	SetNextClientID(next + 100)
	assert.Equal(t, next+100, NextClientID())
	SetNextClientID(1<<63 - 1)
	assert.Equal(t, next+100, NextClientID(), "it cannot overflow")

	a, b := startTwins(t, proxyOptions{})
	c := connect(t, a.Addr)
	must(t, c, "PING")
	a.onWorkers(func(w *worker) { w.sessions[0].state.ID = next + 1000 })
	moveAll(t, a, b)
	assert.Equal(t, next+1000, must(t, c, "CLIENT", "ID"))
	assert.Equal(t, next+1001, must(t, connect(t, b.Addr), "CLIENT", "ID"))
}
