package stand

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/tcp/internal/load"
	"samaritan/bench/tcp/internal/peer"
)

const serveCommand = "serve"

// TestMain lets the test binary be the server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		fmt.Fprintln(os.Stderr, peer.Serve(context.Background(), os.Args[2:]...))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// open opens a stand that is closed when the test ends.
func open(t *testing.T, o Options) *Stand {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	o.HAProxy, o.Server = "haproxy", []string{self, serveCommand}
	s, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestEachTargetLeadsToTheServer(t *testing.T) {
	s := open(t, Options{StandIn: true})
	for _, k := range append(Proxies, Direct) {
		target, err := s.Target(t.Context(), k)
		require.NoError(t, err)
		assert.Equal(t, k, target.Kind)
		before, err := target.CPU()
		require.NoError(t, err)
		l, err := load.Open(t.Context(), target.Addr, load.Options{Kind: load.Download, Connections: 2, Chunk: 4 << 20})
		require.NoError(t, err, k)
		_, err = l.Run(t.Context(), 0)
		require.NoError(t, err, k)
		l.Close()
		after, err := target.CPU()
		require.NoError(t, err)
		assert.Greater(t, after, before, k)
		rss, err := target.SettledRSS(t.Context())
		require.NoError(t, err)
		assert.Positive(t, rss, k)
		require.NoError(t, target.Running())
		target.Kill()
		assert.Equal(t, k == Direct, target.Running() == nil, "the server is for all of them")
	}
	_, err := s.Target(t.Context(), "nothing")
	assert.ErrorIs(t, err, errKind)
}

func TestServerHasAllItsAddresses(t *testing.T) {
	s := open(t, Options{StandIn: true})
	for i := range Servers {
		l, err := load.Open(t.Context(), s.Server(i), load.Options{Kind: load.PingPong, Connections: 1})
		require.NoError(t, err)
		l.Close()
	}
	assert.Equal(t, s.Server(0), s.Server(Servers))
	assert.Positive(t, s.Threads())
}

// A script that shows its config and ends plays the daemon.
func TestConfigOfTheDaemon(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\ncat $2; exit 1\n"), 0o755))
	s := open(t, Options{Samaritan: binary})
	_, err := s.Target(t.Context(), Samaritan)
	assert.ErrorContains(t, err, "protocol: TCP")
	assert.ErrorContains(t, err, "ip: 127.0.0.11")
	assert.NotContains(t, err.Error(), "dynamic_source_config")
	_, err = s.Dynamic(t.Context(), "127.0.0.1:9000")
	assert.ErrorContains(t, err, `dynamic_source_config: {endpoint: "127.0.0.1:9000"}`)
	assert.ErrorContains(t, err, "belong: bench")
}
