package redis

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestConfigGetShowsTheProxy(t *testing.T) {
	proxy, _ := localBackend(t)
	c, err := testredis.Dial(proxy)
	require.NoError(t, err)
	defer c.Close()
	host, port, _ := net.SplitHostPort(proxy)
	for name, want := range map[string]string{
		"databases": "1", "timeout": "600", "maxclients": "0", "port": port, "bind": host, "cluster-enabled": "no",
	} {
		got, err := c.Do("CONFIG", "GET", name)
		require.NoError(t, err)
		assert.Equal(t, []any{name, want}, got)
	}
	all, err := c.Do("CONFIG", "GET", "*")
	require.NoError(t, err)
	server := testredis.StartServer(t)
	names := server.MustDo(t, "CONFIG", "GET", "*")
	for i := 0; i < len(all.([]any)); i += 2 {
		assert.Contains(t, names, all.([]any)[i], "a parameter of Redis")
	}
}
