package redis

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// While a slot migrates, its keys are at two nodes, and some go over between two
// pages of the walk.
func TestScanReturnsEveryKeyOfASlotThatIsMigrating(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 600)
	slots := []uint16{0, 7000, 12000}
	for _, s := range slots {
		for i := range 60 {
			must(t, conn, "SET", key(s, fmt.Sprint(i)), 1)
			all = append(all, key(s, fmt.Sprint(i)))
		}
	}
	slices.Sort(all)
	for i, s := range slots {
		// Against the order of the walk too: the importing node may have been scanned.
		to := c.Masters()[(i+2)%3]
		if c.Master(s) == to {
			to = c.Masters()[(i+1)%3]
		}
		require.NoError(t, c.BeginMigrate(s, to))
		moved, err := c.MigrateKeys(s, 20)
		require.NoError(t, err)
		require.Equal(t, 20, moved)
		for _, version := range []int{2, 3} {
			must(t, conn, "HELLO", version)
			got := scanAll(t, conn, func(int) {
				_, err := c.MigrateKeys(s, 1)
				require.NoError(t, err)
			}, "COUNT", 30)
			sameKeys(t, all, got, "slot", s, "RESP", version)
		}
		must(t, conn, "HELLO", 2)
		require.NoError(t, c.FinishMigrate(s))
		sameKeys(t, all, scanAll(t, conn, nil, "COUNT", 30), "finished", s)
	}
}
