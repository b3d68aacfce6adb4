package health

import (
	"context"
	"errors"
	"fmt"
	"net"

	"samaritan/api/hc"
)

// Checker tries one endpoint.
type Checker interface {
	// Check tries the endpoint at address ("ip:port") once. It returns nil when the
	// endpoint passed, and otherwise what was wrong; no error has a password in it.
	// It ends when ctx does. It may be called by several goroutines at the same time.
	Check(ctx context.Context, address string) error
}

// NewChecker returns the checker that c asks for, which is [hc.TCPChecker] when it asks
// for none. The errors are a checker that is not known, and a MySQL user name with a
// NUL in it.
func NewChecker(c *hc.HealthCheck) (Checker, error) {
	return newChecker(c, netDial)
}

// netDial connects without keep-alive probes: no check lives long enough for one.
func netDial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
}

// dialFunc connects, as [net.Dialer.DialContext] does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

func newChecker(c *hc.HealthCheck, dial dialFunc) (Checker, error) {
	if c == nil {
		return nil, errors.New("health: no check is given")
	}
	switch kind := c.Checker.(type) {
	case nil, *hc.HealthCheck_TcpChecker:
		return tcpChecker{dial}, nil
	case *hc.HealthCheck_AtcpChecker:
		return atcpChecker{dial, kind.AtcpChecker.GetAction()}, nil
	case *hc.HealthCheck_MysqlChecker:
		return newMySQLChecker(dial, kind.MysqlChecker.GetUsername())
	case *hc.HealthCheck_RedisChecker:
		return newRedisChecker(dial, kind.RedisChecker.GetUsername(), kind.RedisChecker.GetPassword()), nil
	default:
		return nil, fmt.Errorf("health: unknown checker %T", kind)
	}
}
