package source

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"samaritan/api"
	"samaritan/api/common"
	"samaritan/api/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func endpoint(port uint32) []*service.Endpoint {
	return []*service.Endpoint{{Address: &common.Address{Ip: "127.0.0.1", Port: port}}}
}

// connect returns a client whose calls end with the test, or after a time.
func connect(t *testing.T, s *Source) (context.Context, api.DiscoveryServiceClient) {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(func() {
		cancel()
		conn.Close()
	})
	return ctx, api.NewDiscoveryServiceClient(conn)
}

func TestDaemonLearnsServicesAndTheirChanges(t *testing.T) {
	s, err := Start()
	require.NoError(t, err)
	defer s.Close()
	ctx, client := connect(t, s)
	dependencies, err := client.StreamDependencies(ctx, new(api.DependencyDiscoveryRequest))
	require.NoError(t, err)
	_, err = s.Publish(ctx, []*Service{{Name: "a", Config: new(service.Config), Endpoints: endpoint(1)}, {Name: "b"}})
	require.NoError(t, err)
	all, err := dependencies.Recv()
	require.NoError(t, err)
	require.Len(t, all.Added, 2)
	assert.Equal(t, "a", all.Added[0].Name)

	configs, err := client.StreamSvcConfigs(ctx)
	require.NoError(t, err)
	require.NoError(t, configs.Send(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: []string{"a", "unknown"}}))
	updated, err := configs.Recv()
	require.NoError(t, err)
	assert.Len(t, updated.Updated, 1)
	assert.Contains(t, updated.Updated, "a")

	endpoints, err := client.StreamSvcEndpoints(ctx)
	require.NoError(t, err)
	require.NoError(t, endpoints.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: []string{"unknown", "a"}}))
	first, err := endpoints.Recv()
	require.NoError(t, err)
	assert.Equal(t, "a", first.SvcName)
	require.Len(t, first.Added, 1)
	require.NoError(t, s.Change(ctx, "a", endpoint(2), endpoint(1)))
	change, err := endpoints.Recv()
	require.NoError(t, err)
	assert.EqualValues(t, 2, change.Added[0].Address.Port)
	assert.EqualValues(t, 1, change.Removed[0].Address.Port)
}

func TestNobodyAsks(t *testing.T) {
	s, err := Start()
	require.NoError(t, err)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = s.Publish(ctx, nil)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	for range maxChanges {
		require.NoError(t, s.Change(t.Context(), "a", nil, nil))
	}
	assert.ErrorIs(t, s.Change(ctx, "a", nil, nil), context.DeadlineExceeded)
}

func TestCloseEndsStreamsThatWait(t *testing.T) {
	s, err := Start()
	require.NoError(t, err)
	ctx, client := connect(t, s)
	dependencies, err := client.StreamDependencies(ctx, new(api.DependencyDiscoveryRequest))
	require.NoError(t, err)
	endpoints, err := client.StreamSvcEndpoints(ctx)
	require.NoError(t, err)
	require.NoError(t, endpoints.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: []string{"a"}}))
	s.Close()
	_, err = dependencies.Recv()
	assert.Error(t, err)
	_, err = endpoints.Recv()
	assert.Error(t, err)
}
