package chaos

import (
	"fmt"
	"maps"
	"slices"

	"samaritan/internal/testredis"
)

// role is what a node says of its part in replication.
type role struct {
	master string // announced address, "" when the node is one
	linked bool   // to its master
	offset int64  // up to where it has written, or executed what was sent
}

// roleOf asks a node. See https://redis.io/docs/latest/commands/role/.
func roleOf(n *testredis.Node) (role, error) {
	reply, err := n.Do("ROLE")
	if err != nil {
		return role{}, err
	}
	parts, _ := reply.([]any)
	if len(parts) == 3 && parts[0] == "master" {
		offset, _ := parts[1].(int64)
		return role{offset: offset}, nil
	}
	if len(parts) != 5 || parts[0] != "slave" {
		return role{}, fmt.Errorf("chaos: %s: ROLE: %v", n.Addr(), reply)
	}
	offset, _ := parts[4].(int64)
	return role{master: fmt.Sprintf("%v:%v", parts[1], parts[2]), linked: parts[3] == "connected", offset: offset}, nil
}

// countsOf returns how many keys a node has in each of the slots.
func countsOf(n *testredis.Node, slots []uint16) ([]int, error) {
	var cmds [][]any
	for _, s := range slots {
		cmds = append(cmds, []any{"CLUSTER", "COUNTKEYSINSLOT", s})
	}
	replies, err := n.DoAll(cmds...)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(slots))
	for i, v := range replies {
		count, ok := v.(int64)
		if !ok {
			return nil, fmt.Errorf("chaos: %s: COUNTKEYSINSLOT: %v", n.Addr(), v)
		}
		counts[i] = int(count)
	}
	return counts, nil
}

// keysOf returns the keys that a node has in a slot, all with the same value.
func keysOf(n *testredis.Node, slot uint16) (map[string]string, error) {
	reply, err := n.Do("CLUSTER", "GETKEYSINSLOT", slot, mostKeys)
	if err != nil {
		return nil, err
	}
	names, _ := reply.([]any)
	keys := map[string]string{}
	for _, name := range names {
		keys[fmt.Sprint(name)] = ""
	}
	return keys, nil
}

// digestsOf returns the keys that a node has in a slot, and digests of their values.
func digestsOf(n *testredis.Node, slot uint16) (map[string]string, error) {
	keys, err := keysOf(n, slot)
	if err != nil || len(keys) == 0 {
		return keys, err
	}
	names := slices.Sorted(maps.Keys(keys))
	cmd := []any{"DEBUG", "DIGEST-VALUE"}
	for _, name := range names {
		cmd = append(cmd, name)
	}
	reply, err := n.Do(cmd...)
	if err != nil {
		return nil, err
	}
	digests, _ := reply.([]any)
	if len(digests) != len(names) {
		return nil, fmt.Errorf("chaos: %s: DIGEST-VALUE: %v", n.Addr(), reply)
	}
	for i, name := range names {
		keys[name] = fmt.Sprint(digests[i])
	}
	return keys, nil
}
