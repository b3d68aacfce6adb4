package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
	"samaritan/config"
)

func TestSettingsOfHotKeys(t *testing.T) {
	tests := []struct {
		name string
		hot  *redis.HotKeys
		want hotSettings
	}{
		{"absent", nil, hotSettings{enable: true, capacity: 50, interval: 10 * time.Second, window: 20 * time.Second}},
		{"off", &redis.HotKeys{Enable: proto.Bool(false)}, hotSettings{capacity: 50, interval: 10 * time.Second, window: 20 * time.Second}},
		{
			"all, with a window of no whole intervals",
			&redis.HotKeys{Capacity: 7, Interval: durationpb.New(time.Minute), Window: durationpb.New(61 * time.Second), LogTop: 3},
			hotSettings{enable: true, capacity: 7, interval: time.Minute, window: 2 * time.Minute, logTop: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc, err := config.NewService("a", &service.Config{
				Listener:        &service.Listener{Address: &common.Address{Ip: "127.0.0.1"}},
				Protocol:        protocol.Protocol_Redis,
				ProtocolOptions: &service.Config_RedisOption{RedisOption: &protocol.RedisOption{HotKeys: tt.hot}},
			}, nil)
			require.NoError(t, err)
			assert.Equal(t, tt.want, newSettings(svc).hot)
		})
	}
}
