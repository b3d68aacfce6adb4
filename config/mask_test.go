package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"samaritan/api"
	"samaritan/api/hc"
	"samaritan/api/service"
)

func redisCheck(password string) *service.Config {
	return &service.Config{HealthCheck: &hc.HealthCheck{
		Checker: &hc.HealthCheck_RedisChecker{RedisChecker: &hc.RedisChecker{Password: password}},
	}}
}

func TestMaskedLeavesTheOriginalAlone(t *testing.T) {
	c := redisCheck("hunter2")
	assert.Equal(t, "***", Masked(c).HealthCheck.GetRedisChecker().Password)
	assert.Equal(t, "hunter2", c.HealthCheck.GetRedisChecker().Password)
	assert.Empty(t, Masked(redisCheck("")).HealthCheck.GetRedisChecker().Password)
}

func TestMaskedReachesListsAndMaps(t *testing.T) {
	c := &service.Config{HealthCheck: &hc.HealthCheck{Checker: &hc.HealthCheck_AtcpChecker{AtcpChecker: &hc.ATCPChecker{
		Action: []*hc.ATCPChecker_Action{{Send: []byte("AUTH hunter2"), Expect: []byte("+OK")}},
	}}}}
	m := &api.SvcConfigDiscoveryResponse{Updated: map[string]*service.Config{"a": c, "b": redisCheck("hunter2")}}
	masked := Masked(m)
	action := masked.Updated["a"].HealthCheck.GetAtcpChecker().Action[0]
	assert.Equal(t, "***", string(action.Send))
	assert.Equal(t, "+OK", string(action.Expect))
	assert.NotContains(t, masked.String(), "hunter2")
}

func TestSecretsAreNotInTheJSON(t *testing.T) {
	b, err := Load("testdata/good/old-redis-full.yaml")
	require.NoError(t, err)
	for _, v := range []any{b, b.Services[0]} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "hunter2")
		assert.Contains(t, string(text), `"password":"***"`)
	}
}

// A new field that sounds like a secret must be masked too. One that is a message is
// not: the fields in it are looked at.
func TestAllSecretsAreKnown(t *testing.T) {
	var check func(protoreflect.MessageDescriptors)
	check = func(mds protoreflect.MessageDescriptors) {
		for i := range mds.Len() {
			if mds.Get(i).IsMapEntry() {
				continue
			}
			fields := mds.Get(i).Fields()
			for j := range fields.Len() {
				if fields.Get(j).Message() != nil {
					continue
				}
				name := string(fields.Get(j).Name())
				if strings.HasSuffix(name, "_file") {
					continue // where the secret is, not what
				}
				for _, word := range []string{"password", "secret", "token", "key", "auth", "credential"} {
					assert.False(t, strings.Contains(name, word) && !isSecret(fields.Get(j)), fields.Get(j).FullName())
				}
			}
			check(mds.Get(i).Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(f.Path(), "api/") {
			check(f.Messages())
		}
		return true
	})
}
