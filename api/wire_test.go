package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api"
	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/api/hc"
	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
)

// schema is every field there is: a management server of the original must be
// understood, so none of it may change. Fields of our own start at 100, save in
// messages of our own. A "?" marks a scalar whose presence is told from its zero.
const schema = `
bootstrap.Bootstrap instance=1:common.Instance log=2:bootstrap.Log stats=3:bootstrap.Stats admin=4:bootstrap.Admin static_services=5:[]bootstrap.StaticService dynamic_source_config=6:bootstrap.ConfigSource
bootstrap.Log level=1:bootstrap.Log.Level output=2:bootstrap.Log.Output
bootstrap.Log.Output type=1:bootstrap.Log.Output.Type target=2:string
bootstrap.Stats sinks=1:[]bootstrap.Sink
bootstrap.Sink type=1:bootstrap.Sink.Type endpoint=2:string
bootstrap.Admin bind=1:common.Address
bootstrap.StaticService name=1:string config=2:service.Config endpoints=3:[]service.Endpoint
bootstrap.ConfigSource endpoint=1:string tls=100:bootstrap.ConfigSource.TLS token=101:string token_file=102:string
bootstrap.ConfigSource.TLS ca_file=1:string cert_file=2:string key_file=3:string server_name=4:string
common.Instance id=1:string version=2:string belong=3:string
common.Address ip=1:string port=2:uint32
service.Service name=1:string
service.Listener address=1:common.Address connection_limit=2:uint32
service.Endpoint address=1:common.Address state=2:service.Endpoint.State type=3:service.Endpoint.Type
service.Config listener=1:service.Listener health_check=2:hc.HealthCheck connect_timeout=3:google.protobuf.Duration idle_timeout=4:google.protobuf.Duration lb_policy=5:service.LoadBalancePolicy protocol=6:protocol.Protocol tcp_option=7:protocol.TCPOption redis_option=8:protocol.RedisOption mysql_option=9:protocol.MySQLOption
protocol.TCPOption drain_timeout=100:google.protobuf.Duration connect_attempts=101:uint32
protocol.RedisOption read_strategy=1:redis.ReadStrategy compression=2:redis.Compression request_timeout=100:google.protobuf.Duration slow_threshold=101:google.protobuf.Duration hot_keys=102:redis.HotKeys
protocol.MySQLOption drain_timeout=100:google.protobuf.Duration connect_attempts=101:uint32
redis.Compression enable=1:bool algorithm=2:redis.Compression.Algorithm threshold=3:uint32 level=100:uint32 max_size=101:uint32 max_ratio=102:uint32
redis.HotKeys enable=1:?bool capacity=2:uint32 interval=3:google.protobuf.Duration window=4:google.protobuf.Duration log_top=5:uint32
hc.HealthCheck interval=1:google.protobuf.Duration timeout=2:google.protobuf.Duration fall_threshold=3:uint32 rise_threshold=4:uint32 tcp_checker=5:hc.TCPChecker atcp_checker=6:hc.ATCPChecker mysql_checker=7:hc.MySQLChecker redis_checker=8:hc.RedisChecker
hc.TCPChecker
hc.ATCPChecker action=1:[]hc.ATCPChecker.Action
hc.ATCPChecker.Action send=1:bytes expect=2:bytes
hc.MySQLChecker username=1:string
hc.RedisChecker password=1:string username=100:string
api.DependencyDiscoveryRequest instance=1:common.Instance
api.DependencyDiscoveryResponse added=1:[]service.Service removed=2:[]service.Service
api.SvcConfigDiscoveryRequest svc_names_subscribe=1:[]string svc_names_unsubscribe=2:[]string
api.SvcConfigDiscoveryResponse updated=1:map[string]service.Config
api.SvcEndpointDiscoveryRequest svc_names_subscribe=1:[]string svc_names_unsubscribe=2:[]string
api.SvcEndpointDiscoveryResponse svc_name=1:string added=2:[]service.Endpoint removed=3:[]service.Endpoint
`

const enums = `
bootstrap.Log.Level INFO=0 DEBUG=-1 WARING=1 WARN=1 WARNING=1 ERROR=2 QUIET=3
bootstrap.Log.Output.Type STDOUT=0 SYSLOG=1
bootstrap.Sink.Type UNKNOWN=0 STATSD=1
service.LoadBalancePolicy ROUND_ROBIN=0 LEAST_CONNECTION=1 RANDOM=2 CLUSTER_PROVIDED=3
service.Endpoint.State UP=0 DOWN=1 UNKNOWN=2
service.Endpoint.Type MAIN=0 BACKUP=1
protocol.Protocol UNKNOWN=0 TCP=1 MySQL=2 Redis=3
redis.ReadStrategy MASTER=0 REPLICA=1 BOTH=2
redis.Compression.Algorithm SNAPPY=0 ZSTD=1
`

func TestFieldNumbersNeverChange(t *testing.T) {
	want := strings.Split(strings.TrimSpace(schema), "\n")
	var got []string
	eachFile(func(f protoreflect.FileDescriptor) { got = append(got, messages(f.Messages())...) })
	assert.ElementsMatch(t, want, got)
}

func TestEnumNumbersNeverChange(t *testing.T) {
	for line := range strings.SplitSeq(strings.TrimSpace(enums), "\n") {
		name, want, _ := strings.Cut(line, " ")
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		require.NoError(t, err)
		values := d.(protoreflect.EnumDescriptor).Values()
		var got []string
		for i := range values.Len() {
			got = append(got, fmt.Sprintf("%s=%d", values.Get(i).Name(), values.Get(i).Number()))
		}
		assert.Equal(t, want, strings.Join(got, " "), name)
	}
}

func TestMethodNamesNeverChange(t *testing.T) {
	assert.Equal(t, "/api.DiscoveryService/StreamDependencies", api.DiscoveryService_StreamDependencies_FullMethodName)
	assert.Equal(t, "/api.DiscoveryService/StreamSvcConfigs", api.DiscoveryService_StreamSvcConfigs_FullMethodName)
	assert.Equal(t, "/api.DiscoveryService/StreamSvcEndpoints", api.DiscoveryService_StreamSvcEndpoints_FullMethodName)
	kinds := map[string][2]bool{} // client streams, server streams
	for _, s := range api.DiscoveryService_ServiceDesc.Streams {
		kinds[s.StreamName] = [2]bool{s.ClientStreams, s.ServerStreams}
	}
	assert.Equal(t, map[string][2]bool{
		"StreamDependencies": {false, true},
		"StreamSvcConfigs":   {true, true},
		"StreamSvcEndpoints": {true, true},
	}, kinds)
	assert.Equal(t, []grpc.MethodDesc{}, api.DiscoveryService_ServiceDesc.Methods)
}

// The bytes are put together by hand, as an old management server sends them.
func TestWireBytesOfOldServersDecode(t *testing.T) {
	address := join(text(1, "10.0.0.1"), number(2, 7000))
	duration := join(number(1, 3), number(2, 500_000_000))
	action := join(text(1, "PING\r\n"), text(2, "+PONG"))
	check := join(field(1, duration), field(2, duration), number(3, 4), number(4, 5), field(6, field(1, action)))
	option := join(number(1, 2), field(2, join(number(1, 1), number(2, 0), number(3, 1024))))
	config := join(
		field(1, join(field(1, address), number(2, 100))), field(2, check),
		field(3, duration), field(4, duration), number(5, 3), number(6, 3), field(8, option))
	endpoint := join(field(1, address), number(2, 1), number(3, 1))
	data := join(
		field(1, join(text(1, "id"), text(2, "v"), text(3, "belong"))),
		field(2, join(minus(1, 1), field(2, join(number(1, 1), text(2, "h:514"))))),
		field(3, field(1, join(number(1, 1), text(2, "h:8125")))),
		field(4, field(1, address)),
		field(5, join(text(1, "name"), field(2, config), field(3, endpoint))),
		field(6, text(1, "h:80")),
	)

	addr := &common.Address{Ip: "10.0.0.1", Port: 7000}
	dur := &durationpb.Duration{Seconds: 3, Nanos: 500_000_000}
	want := &bootstrap.Bootstrap{
		Instance: &common.Instance{Id: "id", Version: "v", Belong: "belong"},
		Log:      &bootstrap.Log{Level: bootstrap.Log_DEBUG, Output: &bootstrap.Log_Output{Type: bootstrap.Log_Output_SYSLOG, Target: "h:514"}},
		Stats:    &bootstrap.Stats{Sinks: []*bootstrap.Sink{{Type: bootstrap.Sink_STATSD, Endpoint: "h:8125"}}},
		Admin:    &bootstrap.Admin{Bind: addr},
		StaticServices: []*bootstrap.StaticService{{
			Name: "name",
			Config: &service.Config{
				Listener: &service.Listener{Address: addr, ConnectionLimit: 100},
				HealthCheck: &hc.HealthCheck{
					Interval: dur, Timeout: dur, FallThreshold: 4, RiseThreshold: 5,
					Checker: &hc.HealthCheck_AtcpChecker{AtcpChecker: &hc.ATCPChecker{
						Action: []*hc.ATCPChecker_Action{{Send: []byte("PING\r\n"), Expect: []byte("+PONG")}},
					}},
				},
				ConnectTimeout: dur, IdleTimeout: dur,
				LbPolicy: service.LoadBalancePolicy_CLUSTER_PROVIDED,
				Protocol: protocol.Protocol_Redis,
				ProtocolOptions: &service.Config_RedisOption{RedisOption: &protocol.RedisOption{
					ReadStrategy: redis.ReadStrategy_BOTH,
					Compression:  &redis.Compression{Enable: true, Threshold: 1024},
				}},
			},
			Endpoints: []*service.Endpoint{{Address: addr, State: service.Endpoint_DOWN, Type: service.Endpoint_BACKUP}},
		}},
		DynamicSourceConfig: &bootstrap.ConfigSource{Endpoint: "h:80"},
	}
	got := &bootstrap.Bootstrap{}
	require.NoError(t, proto.Unmarshal(data, got))
	assert.True(t, proto.Equal(want, got), "got %v", got)
}

func TestWireBytesOfDiscoveryDecode(t *testing.T) {
	entry := join(text(1, "a"), field(2, number(6, 1)))
	configs := &api.SvcConfigDiscoveryResponse{}
	require.NoError(t, proto.Unmarshal(field(1, entry), configs))
	assert.Equal(t, protocol.Protocol_TCP, configs.Updated["a"].GetProtocol())

	endpoints := &api.SvcEndpointDiscoveryResponse{}
	data := join(text(1, "a"), field(2, number(3, 1)), field(3, number(2, 2)))
	require.NoError(t, proto.Unmarshal(data, endpoints))
	assert.Equal(t, "a", endpoints.SvcName)
	assert.Equal(t, service.Endpoint_BACKUP, endpoints.Added[0].Type)
	assert.Equal(t, service.Endpoint_UNKNOWN, endpoints.Removed[0].State)

	request, err := proto.Marshal(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: []string{"a"}, SvcNamesUnsubscribe: []string{"b"}})
	require.NoError(t, err)
	assert.Equal(t, join(text(1, "a"), text(2, "b")), request)
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func field(n protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), value)
}

func text(n protowire.Number, value string) []byte { return field(n, []byte(value)) }

func number(n protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), value)
}

func minus(n protowire.Number, value uint64) []byte { return number(n, -value) }

// eachFile visits the .proto files of this folder and those below.
func eachFile(visit func(protoreflect.FileDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(f.Path(), "api/") {
			visit(f)
		}
		return true
	})
}

func messages(mds protoreflect.MessageDescriptors) []string {
	var lines []string
	for i := range mds.Len() {
		md := mds.Get(i)
		if md.IsMapEntry() {
			continue
		}
		line := string(md.FullName())
		for j := range md.Fields().Len() {
			fd := md.Fields().Get(j)
			line += fmt.Sprintf(" %s=%d:%s", fd.Name(), fd.Number(), typeOf(fd))
		}
		lines = append(append(lines, line), messages(md.Messages())...)
	}
	return lines
}

func typeOf(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map[" + typeOf(fd.MapKey()) + "]" + typeOf(fd.MapValue())
	case fd.IsList():
		return "[]" + elemType(fd)
	case fd.HasOptionalKeyword():
		return "?" + elemType(fd)
	}
	return elemType(fd)
}

func elemType(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.Message() != nil:
		return string(fd.Message().FullName())
	case fd.Enum() != nil:
		return string(fd.Enum().FullName())
	}
	return fd.Kind().String()
}
