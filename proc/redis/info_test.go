package redis

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// infoOf asks for INFO and returns the titles of its sections and its fields.
func infoOf(t *testing.T, addr string, args ...any) (titles []string, fields map[string]string) {
	t.Helper()
	c, err := testredis.Dial(addr)
	require.NoError(t, err)
	defer c.Close()
	text, err := c.Do(append([]any{"INFO"}, args...)...)
	require.NoError(t, err)
	fields = map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text.(string), "\r\n"), "\r\n") {
		name, value, found := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "# "):
			titles = append(titles, line[2:])
		case line != "":
			require.True(t, found, "%q", line)
			fields[name] = value
		}
	}
	return titles, fields
}

func TestInfoSections(t *testing.T) {
	proxy, _ := localBackend(t)
	standard := []string{"Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Cluster", "Keyspace"}
	all := []string{"Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Commandstats", "Latencystats", "Cluster", "Keyspace"}
	tests := []struct {
		args []any
		want []string
	}{
		{nil, standard},
		{[]any{"default"}, standard},
		{[]any{"ALL"}, all},
		{[]any{"everything"}, all},
		{[]any{"keyspace", "Server", "keyspace", "nothing"}, []string{"Server", "Keyspace"}},
		{[]any{"default", "commandstats"}, append(append([]string{}, all[:8]...), all[9:]...)},
		{[]any{"nothing"}, nil},
	}
	for _, tt := range tests {
		titles, _ := infoOf(t, proxy, tt.args...)
		assert.Equal(t, tt.want, titles, "%v", tt.args)
	}
}

// TestInfoFieldsAreThoseOfRedis holds the names to those that Redis has.
func TestInfoFieldsAreThoseOfRedis(t *testing.T) {
	proxy, _ := localBackend(t)
	_, ours := infoOf(t, proxy)
	_, redis := infoOf(t, testredis.StartServer(t).Addr())
	for name := range ours {
		if name != "samaritan_version" {
			assert.Contains(t, redis, name)
		}
	}
	for name, want := range map[string]string{
		"redis_version": redis["redis_version"], "samaritan_version": "1.2.3", "redis_mode": "standalone",
		"role": "master", "loading": "0", "cluster_enabled": "0", "connected_clients": "1", "arch_bits": redis["arch_bits"],
		"os": redis["os"],
	} {
		assert.Equal(t, want, ours[name], name)
	}
	assert.Regexp(t, `^\d+\.\d{6}$`, ours["used_cpu_user"])
	assert.Regexp(t, `^\d+(\.\d\d)?[BKMG]$`, ours["used_memory_human"])
	assert.NotEqual(t, "0", ours["used_memory"])
	assert.Regexp(t, `^[0-9a-f]{40}$`, ours["run_id"])
}

func TestInfoCountsCommands(t *testing.T) {
	proxy, _ := localBackend(t)
	script(t, proxy, "SET k v\nGET k\nGET k\nGET\nnothing\nCLIENT ID\nSELECT 7")
	_, fields := infoOf(t, proxy, "commandstats", "latencystats", "stats")
	assert.Regexp(t, `^calls=3,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=0,failed_calls=1$`, fields["cmdstat_get"])
	assert.Regexp(t, `^calls=1,.*failed_calls=0$`, fields["cmdstat_client|id"])
	assert.Regexp(t, `^calls=1,.*failed_calls=1$`, fields["cmdstat_select"])
	assert.Regexp(t, `^p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}$`, fields["latency_percentiles_usec_get"])
	assert.Equal(t, "8", fields["total_commands_processed"], "with INFO")
	assert.Equal(t, "3", fields["total_error_replies"])
	assert.Equal(t, "2", fields["total_connections_received"])
}

func TestInfoIsVerbatimUnderRESP3(t *testing.T) {
	proxy, _ := localBackend(t)
	out := script(t, proxy, "HELLO 3\nINFO cluster")
	assert.True(t, strings.HasSuffix(out, "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"), "%q", out)
}

func TestHumanBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 1023: "1023B", 1024: "1.00K", 12836864: "12.24M", 3 << 40: "3.00T", 5000 << 40: "5000.00T"} {
		assert.Equal(t, want, humanBytes(n))
	}
}

// clientFields are those of CLIENT INFO in their order.
var clientFields = regexp.MustCompile(`[a-z-]+=`)

func TestClientInfoHasTheFieldsOfRedis(t *testing.T) {
	proxy, _ := localBackend(t)
	ask := func(addr string) string {
		c, err := testredis.Dial(addr)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Do("CLIENT", "SETNAME", "ab")
		require.NoError(t, err)
		line, err := c.Do("CLIENT", "INFO")
		require.NoError(t, err)
		return line.(string)
	}
	ours := ask(proxy)
	want := clientFields.FindAllString(ask(testredis.StartServer(t).Addr()), -1)
	assert.Equal(t, append(want, "lib-name=", "lib-ver="), clientFields.FindAllString(ours, -1))
	assert.Contains(t, ours, " laddr="+proxy+" ")
	assert.Contains(t, ours, " name=ab age=0 idle=0 flags=N db=0 ")
	assert.Contains(t, ours, " cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=\n")
}
