package dynamic

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api"
	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
)

// two starts a client with the services a and b.
func two(t *testing.T, s *server) (*rig, *peer) {
	t.Helper()
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1)
	p.tell("b", 1002, 2)
	r.runs("a:1001[1] b:1002[2]")
	return r, p
}

func TestBadConfigIsRejectedAndTheLastGoodOneStays(t *testing.T) {
	s := listen(t, "")
	r, p := two(t, s)
	for name, c := range map[string]*service.Config{
		"nothing":           nil,
		"empty":             {},
		"no listener":       {Protocol: protocol.Protocol_TCP},
		"unknown protocol":  {Listener: tcpConfig(1).Listener, Protocol: 77},
		"unknown policy":    {Listener: tcpConfig(1).Listener, Protocol: protocol.Protocol_TCP, LbPolicy: -1},
		"negative duration": {Listener: tcpConfig(1).Listener, Protocol: protocol.Protocol_TCP, IdleTimeout: durationpb.New(-time.Second)},
		"invalid duration":  {Listener: tcpConfig(1).Listener, Protocol: protocol.Protocol_TCP, IdleTimeout: &durationpb.Duration{Seconds: math.MaxInt64}},
		"large port":        tcpConfig(math.MaxUint32),
		"huge address":      {Listener: &service.Listener{Address: &common.Address{Ip: strings.Repeat("1", 1<<20)}}, Protocol: protocol.Protocol_TCP},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.stat("rejected_total")
			require.NoError(t, p.c.send(&api.SvcConfigDiscoveryResponse{Updated: map[string]*service.Config{"a": c, "b": tcpConfig(1002)}}))
			require.Eventually(t, func() bool { return r.stat("rejected_total") == before+1 }, within, time.Millisecond)
			got := r.Status()
			assert.Equal(t, 1, got.RejectedCount)
			assert.Contains(t, got.Rejected["a"], "config.")
			assert.Less(t, len(got.Rejected["a"]), 2000)
			assert.Equal(t, "a:1001[1] b:1002[2]", r.text())
		})
	}
	p.hosts("a", at(2), nil) // the rest of the service goes on
	r.runs("a:1001[1 2] b:1002[2]")
	p.config("a", tcpConfig(1009))
	r.runs("a:1009[1 2] b:1002[2]")
	assert.Zero(t, r.Status().RejectedCount)
}

func TestSameProblemIsLoggedOnce(t *testing.T) {
	s := listen(t, "")
	r, p := two(t, s)
	for range 5 {
		p.config("a", &service.Config{})
	}
	require.Eventually(t, func() bool { return r.stat("rejected_total") == 5 }, within, time.Millisecond)
	r.logged("an update was rejected", 1)
	r.logged("service=a", 1)
	r.logged("config.listener: is required", 1)
}

func TestBadEndpointsAreRejectedAsAWhole(t *testing.T) {
	s := listen(t, "")
	r, p := two(t, s)
	bad := &service.Endpoint{Address: &common.Address{Ip: "localhost", Port: 1}}
	p.hosts("a", append(at(5), bad), at(1))
	require.Eventually(t, func() bool { return r.stat("rejected_total") == 1 }, within, time.Millisecond)
	assert.Contains(t, r.Status().Rejected["a"], `"localhost"`)
	r.still("a:1001[1] b:1002[2]", 6)

	p.hosts("a", at(6), nil) // still the bad one among them
	r.still("a:1001[1] b:1002[2]", 7)
	assert.Equal(t, 2.0, r.stat("rejected_total"))
	p.config("a", tcpConfig(1009)) // its config is another matter
	r.runs("a:1009[1] b:1002[2]")

	p.hosts("a", nil, []*service.Endpoint{bad}) // mended: what the server has is taken
	r.runs("a:1009[5 6] b:1002[2]")
	assert.Zero(t, r.Status().RejectedCount)
}

func TestEveryKindOfBadEndpointIsRejected(t *testing.T) {
	s := listen(t, "")
	r, p := two(t, s)
	down := at(1)[0]
	down.State = service.Endpoint_DOWN
	for name, list := range map[string][]*service.Endpoint{
		"no address":    {{}},
		"no port":       {{Address: &common.Address{Ip: "10.0.0.1"}}},
		"large port":    {{Address: &common.Address{Ip: "10.0.0.1", Port: 70000}}},
		"huge ip":       {{Address: &common.Address{Ip: strings.Repeat("x", 1<<20), Port: 1}}},
		"unknown state": {{Address: at(7)[0].Address, State: 9}},
		"unknown type":  {{Address: at(7)[0].Address, Type: -3}},
		"contradiction": {down, at(1)[0]},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.stat("rejected_total")
			p.hosts("a", list, nil)
			require.Eventually(t, func() bool { return r.stat("rejected_total") == before+1 }, within, time.Millisecond)
			assert.Equal(t, "a:1001[1] b:1002[2]", r.text())
			assert.Less(t, len(r.Status().Rejected["a"]), 2000)
			p.hosts("a", at(1), list)
			r.until("mended", func(s Status) bool { return s.RejectedCount == 0 })
		})
	}
	p.hosts("a", at(3), nil)
	r.runs("a:1001[1 3] b:1002[2]")
}

func TestServiceWhoseFirstUpdateIsBadWaits(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.config("a", &service.Config{})
	p.hosts("a", []*service.Endpoint{{}}, nil)
	got := r.until("rejected", func(s Status) bool { return strings.Contains(s.Rejected["a"], "endpoint \"\"") })
	assert.Equal(t, "config and endpoints", got.Waiting["a"])
	assert.Contains(t, got.Rejected["a"], "config.listener")
	p.tell("a", 1001, 1) // a change: the bad endpoint is still there
	r.still("", 5)
	p.hosts("a", nil, []*service.Endpoint{{}})
	r.runs("a:1001[1]")
}

func TestBadNamesAreNoDependencies(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"", "a", "a", strings.Repeat("n", 1<<20), "line\nbreak"}, nil)
	p.wants("a")
	got := r.until("told", func(s Status) bool { return s.Dependencies == 1 })
	assert.Equal(t, 3, got.RejectedCount)
	for name, problem := range got.Rejected {
		assert.Less(t, len(name), 100)
		assert.NotEmpty(t, problem)
	}
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
	p.depends(nil, []string{""})
	r.until("taken back", func(s Status) bool { return s.RejectedCount == 2 })
}

// rawCodec lets a server send bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

type rawMessage []byte

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(rawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func TestMessageThatCannotBeDecodedDoesNotEndTheStream(t *testing.T) {
	s := listenRaw(t)
	r, p := two(t, s)
	name := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("\xff\xfe"))
	dependency := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	for what, bytes := range map[string]rawMessage{"no UTF-8": dependency, "cut off": dependency[:3], "garbage": rawMessage("\xff\xff\xff")} {
		require.NoError(t, p.d.SendMsg(bytes), what)
	}
	require.NoError(t, p.c.SendMsg(rawMessage(dependency[:2])))
	require.NoError(t, p.e.SendMsg(rawMessage(name)))
	require.Eventually(t, func() bool { return r.stat("rejected_total") == 5 }, within, time.Millisecond)
	p.config("a", tcpConfig(1009))
	p.hosts("a", at(8), nil)
	r.runs("a:1009[1 8] b:1002[2]")
	p.depends(nil, []string{"b"})
	r.runs("a:1009[1 8]")
	assert.Zero(t, r.stat("connect_failures_total")+r.stat("connection_losses_total"))
}

func TestAfterALostFirstMessageAllIsAChange(t *testing.T) {
	s := listenRaw(t)
	r, p := two(t, s)
	p.d.end <- nil
	p = s.accept()
	p.wants("a", "b")
	require.NoError(t, p.d.SendMsg(rawMessage("\xff")))
	require.NoError(t, p.e.SendMsg(rawMessage("\xff")))
	p.depends([]string{"c"}, nil)
	p.wants("a", "b", "c")
	p.hosts("a", at(7), nil)
	r.runs("a:1001[1 7] b:1002[2]")
}

func TestEndpointsAreBounded(t *testing.T) {
	set := newEndpointSet()
	for i := range maxEndpoints {
		set.items[endpointKey{port: uint32(i)}] = endpointItem{}
	}
	checked, _ := checkEndpoints(at(1))
	assert.False(t, set.change(checked, nil))
	assert.NotEmpty(t, set.problem())
}
