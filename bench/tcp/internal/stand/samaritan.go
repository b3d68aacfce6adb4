package stand

import (
	"context"
	"fmt"

	"samaritan/bench/internal/samaritan"
)

// sourceConfig says where more services come from.
const sourceConfig = `instance: {id: bench-1, belong: ` + samaritan.Service + `}
dynamic_source_config: {endpoint: "%s"}
`

// startSamaritan starts it in front of a server and returns when it is ready.
func (s *Stand) startSamaritan(ctx context.Context, server string) (*Target, error) {
	d, err := samaritan.Start(ctx, s.starter, s.daemon(server))
	if err != nil {
		return nil, err
	}
	return &Target{Addr: d.Addr, Process: d.Process}, nil
}

// Dynamic starts Samaritan with one service in front of the server, which is at Addr, and a source of others.
func (s *Stand) Dynamic(ctx context.Context, source string) (*samaritan.Daemon, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := s.daemon(s.Server(0))
	o.More = fmt.Sprintf(sourceConfig, source)
	o.ReadyPage = "/live" // It need not be ready before it knows its other services.
	return samaritan.Start(ctx, s.starter, o)
}

func (s *Stand) daemon(server string) samaritan.Options {
	return samaritan.Options{Binary: s.options.Samaritan, Dir: s.dir, CPUs: s.cpus, Service: "protocol: TCP", Endpoints: []string{server}}
}
