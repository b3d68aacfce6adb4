package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"samaritan/bench/internal/samaritan"
)

// profileLanes profiles the proxy under test once more with each load, apart
// from the rounds, because a profile takes CPU itself.
func (s *stage) profileLanes(ctx context.Context, sc scenario, lanes []lane) error {
	if s.options.profile == "" {
		return nil
	}
	if err := os.MkdirAll(s.options.profile, 0o755); err != nil {
		return err
	}
	for _, l := range lanes {
		if l.target.daemon == nil {
			continue
		}
		for i, g := range l.loads {
			name := fmt.Sprintf("%s-%s.pprof", sc.name, strings.ToLower(sc.loads[i].Command[0]))
			progress("%-12s profile %s", sc.name, name)
			if err := profileLoad(ctx, l.target, g, filepath.Join(s.options.profile, name), s.options.duration); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileLoad fetches a CPU profile to path while the load runs.
func profileLoad(ctx context.Context, t *target, g track, path string, d time.Duration) error {
	fetched := make(chan error, 1)
	seconds := max(1, int(math.Floor(d.Seconds())))
	go func() { fetched <- fetchProfile(ctx, t.daemon, path, seconds) }()
	_, err := g.For(ctx, time.Duration(seconds)*time.Second+d/4)
	return errors.Join(err, <-fetched)
}

// fetchProfile writes a CPU profile of some seconds to path.
func fetchProfile(ctx context.Context, d *samaritan.Daemon, path string, seconds int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+startTimeout)
	defer cancel()
	return d.Get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds), f)
}
