package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/loadgen"
	"samaritan/bench/internal/report"
	"samaritan/internal/testredis"
)

// masters is the number of servers behind each proxy.
const masters = 3

// startTimeout bounds the start of a server or a proxy.
const startTimeout = 20 * time.Second

// stage is everything that runs during a benchmark. Close ends it.
type stage struct {
	options options
	starter *child.Starter
	dir     string // of all files
	files   uint64 // limit of open files of each process

	proxyCPUs []int // where proxies run; empty: anywhere

	cluster *testredis.Cluster // behind Samaritan
	plain   []*testredis.Node  // behind twemproxy
	direct  *testredis.Node    // without a proxy

	targets []*target       // of the scenario that runs
	filled  map[string]bool // targets whose servers have their keys
}

// newStage starts all servers and fills them. It starts no proxy.
func newStage(ctx context.Context, o options) (_ *stage, err error) {
	s := &stage{options: o, starter: child.NewStarter(), filled: map[string]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := errors.Join(s.requirePrograms(), s.pin()); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "samaritan-bench-"); err != nil {
		return nil, err
	}
	if s.files, err = child.RaiseFiles(uint64(2*o.idle + 1000)); err != nil {
		return nil, fmt.Errorf("raise the limit of open files: %w", err)
	}
	return s, s.startServers(ctx)
}

// Close ends all processes and removes their files.
func (s *stage) Close() error {
	s.closeTargets()
	var errs []error
	for _, n := range append(s.plain, s.direct) {
		if n != nil {
			errs = append(errs, n.Close())
		}
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	s.starter.Close()
	errs = append(errs, os.RemoveAll(s.dir)) // does nothing when there is none
	return errors.Join(errs...)
}

// startServers starts what the chosen targets need, and fills it.
func (s *stage) startServers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.options.has(report.Subject) && !s.options.standIn {
		// A node timeout that no load reaches.
		c, err := testredis.Start(ctx, testredis.Options{Masters: masters, NodeTimeout: 15 * time.Second})
		if err != nil {
			return err
		}
		s.cluster = c
	}
	if s.options.has(report.Peer) || s.options.standIn {
		for range masters {
			n, err := testredis.StartNode(ctx)
			if err != nil {
				return err
			}
			s.plain = append(s.plain, n)
		}
	}
	if s.options.has(report.Reference) {
		n, err := testredis.StartNode(ctx)
		if err != nil {
			return err
		}
		s.direct = n
		return s.pinServer(n)
	}
	return nil
}

// pin divides the CPUs, if that is wanted: one for the proxies, the others for
// all else.
func (s *stage) pin() (err error) {
	if s.options.pin {
		s.proxyCPUs, err = child.PinApart()
	}
	return err
}

// pinServer puts the server that clients ask directly where else the proxies
// are.
func (s *stage) pinServer(n *testredis.Node) error {
	if !s.options.pin {
		return nil
	}
	return child.Pin(n.Pid(), s.proxyCPUs)
}

// requirePrograms checks that all programs are there, before minutes are spent
// without them.
func (s *stage) requirePrograms() error {
	need := map[string]string{
		redisBinary:    "apt-get install redis-server",
		loadgen.Binary: "apt-get install redis-tools",
	}
	if s.options.has(report.Peer) || s.options.standIn {
		need[twemproxyBinary] = "apt-get install nutcracker"
	}
	if s.options.has(report.Subject) && !s.options.standIn {
		need[s.options.proxy] = "make build"
	}
	var errs []error
	for _, program := range slices.Sorted(maps.Keys(need)) {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("%w: run `%s`", err, need[program]))
		}
	}
	return errors.Join(errs...)
}

// openTargets starts the proxies, and writes all keys through those that have
// not been here before. Each scenario gets fresh ones, so that none inherits
// the memory of the scenario before.
func (s *stage) openTargets(ctx context.Context) error {
	for _, name := range s.options.targets {
		t, err := s.open(ctx, name)
		if err != nil {
			return err
		}
		s.targets = append(s.targets, t)
		if s.filled[name] {
			continue
		}
		if err := fill(t.addr); err != nil {
			return errors.Join(t.running(), err)
		}
		s.filled[name] = true
	}
	return nil
}

// closeTargets ends the proxies. The servers, and their keys, stay.
func (s *stage) closeTargets() {
	for _, t := range s.targets {
		t.close()
	}
	s.targets = nil
}

// fill writes the keys of all scenarios.
func fill(addr string) error {
	return errors.Join(
		loadgen.Fill(addr, smallPrefix, strings.Repeat("v", smallValue), smallKeys),
		loadgen.Fill(addr, largePrefix, strings.Repeat("v", largeValue), largeKeys),
	)
}
