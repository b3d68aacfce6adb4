package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/figures"
	"samaritan/internal/testredis"
)

const (
	masters      = 3
	startTimeout = 20 * time.Second
	nodeTimeout  = 15 * time.Second // of the cluster: one that no load reaches
)

// Options say what to start.
type Options struct {
	Binary string // path of the proxy
	Pin    bool   // proxies on the first CPU, all else, this process too, on the others
}

// Stand is a cluster and the proxies in front of it. It is not safe for concurrent use.
type Stand struct {
	binary  string
	dir     string
	cpus    []int // of proxies; empty: any
	starter *child.Starter
	cluster *testredis.Cluster
}

// Open starts the cluster. The caller has to call Close, also when the context has ended.
func Open(ctx context.Context, o Options) (_ *Stand, err error) {
	if _, err := exec.LookPath(o.Binary); err != nil {
		return nil, fmt.Errorf("%w: run `make build`", err)
	}
	s := &Stand{binary: o.Binary, starter: child.NewStarter()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if o.Pin {
		if s.cpus, err = child.PinApart(); err != nil {
			return nil, err
		}
	}
	if s.dir, err = os.MkdirTemp("", "samaritan-compression-"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.cluster, err = testredis.Start(ctx, testredis.Options{Masters: masters, NodeTimeout: nodeTimeout})
	return s, err
}

// Close ends all processes and removes their files.
func (s *Stand) Close() error {
	var err error
	if s.cluster != nil {
		err = s.cluster.Close()
	}
	s.starter.Close()
	return errors.Join(err, os.RemoveAll(s.dir)) // does nothing when there is none
}

// Empty removes all keys from the nodes.
func (s *Stand) Empty() error { return s.cluster.FlushAll() }

// Owner returns the node that has the slot of a key.
func (s *Stand) Owner(key string) (*testredis.Node, error) {
	n := s.cluster.Master(testredis.Slot(key))
	if n == nil {
		return nil, fmt.Errorf("%s: %w", key, errNoOwner)
	}
	return n, nil
}

var errNoOwner = errors.New("no node has its slot")

// Memory returns the used_memory of all nodes together, in bytes.
func (s *Stand) Memory() (int64, error) {
	total := int64(0)
	for _, n := range s.cluster.Nodes() {
		info, err := n.Do("INFO", "memory")
		if err != nil {
			return 0, err
		}
		used, err := figures.Find(fmt.Sprint(info), "used_memory")
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", n.Addr(), err)
		}
		total += int64(used)
	}
	return total, nil
}
