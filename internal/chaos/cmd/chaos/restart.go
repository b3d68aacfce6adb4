package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"

	"samaritan/internal/chaos"
	"samaritan/internal/chaos/restart"
)

// What the long form of the restarts does.
const (
	chainRestarts = 50
	chainClients  = 200
	idleConns     = 10000
	manyServices  = 1000
)

// restarts does hot restarts, good ones and others.
func restarts(ctx context.Context, o options, w io.Writer) (err error) {
	dir, remove, err := chaos.TempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	samaritan, err := filepath.Abs(o.suite.Samaritan)
	if err != nil {
		return err
	}
	misbehave, err := filepath.Abs(o.misbehave)
	if err != nil {
		return err
	}
	err = restart.RunLong(ctx, restart.LongOptions{
		Programs: restart.Programs{Samaritan: samaritan, Misbehave: misbehave},
		Dir:      cmp.Or(o.suite.Dir, dir), Restarts: o.restarts, Clients: chainClients, Idle: idleConns,
		Services: manyServices,
		Seed:     o.suite.Seed, Want: o.faults.MatchString, Logf: o.suite.Logf,
	}, w)
	if errors.Is(err, restart.ErrViolations) {
		err = errors.Join(errViolations, err)
	}
	return err
}
