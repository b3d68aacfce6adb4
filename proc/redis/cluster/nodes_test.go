package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var nodesCases = []struct {
	name string
	text string
	want string
}{
	{
		"Redis 3: no bus port",
		idA + " 10.0.0.1:7000 myself,master - 0 0 1 connected 0-8191\n" +
			idC + " 10.0.0.3:7000 slave " + idA + " 0 1426238317239 4 connected\n" +
			idB + " 10.0.0.2:7000 master - 0 1426238316232 2 connected 8192-16383\n",
		dump("3 nodes, 16384 slots covered, epoch 4",
			"10.0.0.1:7000 master "+idA+" slots 0-8191",
			"  10.0.0.3:7000 replica "+idC,
			"10.0.0.2:7000 master "+idB+" slots 8192-16383"),
	},
	{
		"Redis 4, 5, 6: bus port, migrating and importing slots, single slots",
		idA + " 10.0.0.1:7000@17000 myself,master - 0 1426238317000 1 connected 0-92 94 96-8191 [93->-" + idB + "] [77-<-" + idB + "]\n" +
			idB + " 10.0.0.2:7000@17000 master - 0 1426238316232 7 connected 93 95 8192-16383\n",
		dump("2 nodes, 16384 slots covered, epoch 7",
			"10.0.0.1:7000 master "+idA+" slots 0-92,94,96-8191",
			"10.0.0.2:7000 master "+idB+" slots 93,95,8192-16383"),
	},
	{
		"Redis 4: a node that has not met anybody does not know its address",
		idA + " :7000@17000 myself,master - 0 0 0 connected 0-16383\n",
		dump("1 nodes, 16384 slots covered", "10.0.0.9:7000 master "+idA+" slots 0-16383"),
	},
	{
		"Redis 7.0: host names",
		idA + " 10.0.0.1:7000@17000,one.example myself,master - 0 0 1 connected 0-16383\n" +
			idB + " 10.0.0.2:7000@17000, slave " + idA + " 0 1 1 connected\n" +
			idC + " :7000@17000,three.example slave " + idA + " 0 1 1 connected\n",
		dump("3 nodes, 16384 slots covered, epoch 1",
			"10.0.0.1:7000 master "+idA+" one.example slots 0-16383",
			"  10.0.0.2:7000 replica "+idB,
			"  three.example:7000 replica "+idC+" three.example"),
	},
	{
		"Redis 7.2, 8, Valkey: auxiliary fields",
		idA + " 10.0.0.1:7000@17000,,tls-port=0,shard-id=" + idD + " myself,master - 0 0 1 connected 0-8191\n" +
			idB + " 10.0.0.2:7000@17000,two,shard-id=" + idD + " master,nofailover - 0 1 2 connected 8192-16383\n" +
			idC + " 10.0.0.3:7000@17000,,shard-id=" + idD + ",availability-zone=a slave,nofailover " + idB + " 0 1 2 connected\n",
		dump("3 nodes, 16384 slots covered, epoch 2",
			"10.0.0.1:7000 master "+idA+" slots 0-8191",
			"10.0.0.2:7000 master "+idB+" two slots 8192-16383",
			"  10.0.0.3:7000 replica "+idC),
	},
	{
		"failing, failed and suspected nodes",
		idA + " 10.0.0.1:7000@17000 master,fail? - 1 1 1 disconnected 0-99\n" +
			idB + " 10.0.0.2:7000@17000 master,fail - 1 1 2 disconnected 100-199\n" +
			idC + " 10.0.0.3:7000@17000 slave,fail " + idA + " 1 1 1 disconnected\n" +
			idD + " 10.0.0.4:7000@17000 slave,fail? " + idA + " 1 1 1 connected\n",
		dump("4 nodes, 200 slots covered, epoch 2",
			"10.0.0.1:7000 master "+idA+" slots 0-99",
			"  10.0.0.3:7000 replica "+idC+" unhealthy",
			"  10.0.0.4:7000 replica "+idD,
			"10.0.0.2:7000 master "+idB+" unhealthy slots 100-199"),
	},
	{
		"nodes in handshake, without address, with port 0",
		idA + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99\n" +
			idB + " 10.0.0.2:7000@17000 handshake - 0 0 0 connected\n" +
			idC + " :0@0 master,fail,noaddr - 1 1 2 disconnected 100-199\n" +
			idD + " 10.0.0.4:7000@17000 slave,noaddr " + idC + " 1 1 2 disconnected\n",
		dump("3 nodes, 100 slots covered, epoch 2",
			"10.0.0.1:7000 master "+idA+" slots 0-99",
			"10.0.0.2:7000 master "+idB+" unhealthy",
			"10.0.0.4:7000 replica "+idD+" unhealthy"),
	},
	{
		"IPv6, CRLF, no line end behind the last line",
		idA + " ::1:7000@17000 myself,master - 0 0 1 connected 0-99\r\n" +
			idB + " 2001:db8::2:7001@17001,two master - 0 0 1 connected 100-199\r\n" +
			idC + " [2001:db8::3]:7002@17002 slave " + idB + " 0 0 1 connected",
		dump("3 nodes, 200 slots covered, epoch 1",
			"[2001:db8::2]:7001 master "+idB+" two slots 100-199",
			"  [2001:db8::3]:7002 replica "+idC,
			"[::1]:7000 master "+idA+" slots 0-99"),
	},
	{
		"a node came back empty at its old address",
		idA + " 10.0.0.1:7000@17000 master,fail - 1 1 1 disconnected 0-99\n" +
			idB + " 10.0.0.1:7000@17000 master - 0 0 0 connected\n",
		dump("2 nodes, 100 slots covered, epoch 1",
			"10.0.0.1:7000 master "+idA+" unhealthy slots 0-99",
			"10.0.0.1:7000 master "+idB),
	},
	{
		"the higher config epoch owns a slot, whatever the order",
		idA + " 10.0.0.1:7000@17000 master - 0 0 3 connected 0-99\n" +
			idB + " 10.0.0.2:7000@17000 master - 0 0 5 connected 50-149\n" +
			idC + " 10.0.0.3:7000@17000 master - 0 0 4 connected 90-199\n",
		dump("3 nodes, 200 slots covered, epoch 5",
			"10.0.0.1:7000 master "+idA+" slots 0-49",
			"10.0.0.2:7000 master "+idB+" slots 50-149",
			"10.0.0.3:7000 master "+idC+" slots 150-199"),
	},
	{
		"replicas of nobody, of an unknown node and of a replica; a replica that claims slots",
		idA + " 10.0.0.1:7000@17000 slave - 0 0 1 connected\n" +
			idB + " 10.0.0.2:7000@17000 slave " + idC + " 0 0 1 connected 0-99\n" +
			idD + " 10.0.0.4:7000@17000 slave " + idA + " 0 0 1 connected\n",
		dump("3 nodes, 0 slots covered, epoch 1",
			"10.0.0.1:7000 replica "+idA,
			"10.0.0.2:7000 replica "+idB,
			"10.0.0.4:7000 replica "+idD),
	},
	{
		"a flag of a later version",
		idA + " 10.0.0.1:7000@17000 myself,master,later - 0 0 1 connected 0-99 [later]\n",
		dump("1 nodes, 100 slots covered, epoch 1", "10.0.0.1:7000 master "+idA+" slots 0-99"),
	},
}

func TestParseNodes(t *testing.T) {
	for _, tt := range nodesCases {
		for form, text := range map[string]string{
			"text":            tt.text,
			"bulk string":     encode(tt.text, 2),
			"verbatim string": fmt.Sprintf("=%d\r\ntxt:%s\r\n", len(tt.text)+4, tt.text),
		} {
			m, err := ParseNodes([]byte(text), asked)
			require.NoError(t, err, tt.name)
			checkMap(t, m)
			assert.Equal(t, tt.want, m.String(), "%s, %s", tt.name, form)
		}
	}
}

func TestParseNodesUsesTheGoodPart(t *testing.T) {
	good := idA + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99\n"
	for _, bad := range []string{
		"\n", "\r\n", " \n", "x\n", "vars currentEpoch 6 lastVoteEpoch 0\n",
		idB + "\n",
		idB + " 10.0.0.2:7000@17000 master - 0 0 1\n",
		idB + " 10.0.0.2@17000 master - 0 0 1 connected 100-199\n",
		idB + " 10.0.0.2:@17000 master - 0 0 1 connected 100-199\n",
		idB + " 10.0.0.2:0@17000 master - 0 0 1 connected 100-199\n",
		idB + " 10.0.0.2:70000@17000 master - 0 0 1 connected 100-199\n",
		idB + " fe80::1::2:7000@17000 master - 0 0 1 connected 100-199\n",
		idB + " 10.0.0.\xff:7000@17000 master - 0 0 1 connected 100-199\n",
		idB + " 10.0.0.2:7000@17000 king - 0 0 1 connected 100-199\n",
		strings.Repeat("b", 65) + " 10.0.0.2:7000@17000 master - 0 0 1 connected 100-199\n",
		idA + " 10.0.0.2:7000@17000 master - 0 0 9 connected 100-199\n",
	} {
		for _, text := range []string{good + bad, bad + good} {
			if strings.HasPrefix(bad, idA) && text != good+bad {
				continue // of two lines with one ID the first one counts
			}
			m, err := ParseNodes([]byte(text), asked)
			require.NoError(t, err, "%q", bad)
			assert.Equal(t, dump("1 nodes, 100 slots covered, epoch 1", "10.0.0.1:7000 master "+idA+" slots 0-99"), m.String(), "%q", bad)
		}
	}
	for _, slots := range []string{"100-", "-199", "100-16384", "-", "100--199", "199-100", "1oo", "123456", "[100]", "100-199-299", "0-99 50", "[", "x"} {
		m, err := ParseNodes([]byte(good+idB+" 10.0.0.2:7000@17000 master - 0 0 1 connected "+slots+"\n"), asked)
		require.NoError(t, err, slots)
		checkMap(t, m)
		assert.Equal(t, 100, m.Covered(), slots)
		assert.Len(t, m.Nodes(), 2, slots)
	}
}

func TestParseNodesLeavesOutTheLastLineOfATruncatedReply(t *testing.T) {
	text := idA + " 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99\n" +
		idB + " 10.0.0.2:7000@17000 master - 0 0 1 connected 100-199\n"
	for _, whole := range []string{encode(text, 2), fmt.Sprintf("=%d\r\ntxt:%s\r\n", len(text)+4, text)} {
		m, err := ParseNodes([]byte(whole[:len(whole)-5]), asked)
		require.NoError(t, err)
		assert.Equal(t, 100, m.Covered())
	}
}
