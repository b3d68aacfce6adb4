package samaritan

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadyNeedsBothPortAndPage(t *testing.T) {
	status := http.StatusServiceUnavailable
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/ready", r.URL.Path)
		w.WriteHeader(status)
	}))
	defer admin.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &Daemon{Addr: l.Addr().String(), admin: strings.TrimPrefix(admin.URL, "http://")}
	assert.ErrorIs(t, d.isReady(t.Context()), errStatus)
	status = http.StatusOK
	assert.NoError(t, d.isReady(t.Context()))
	l.Close()
	assert.Error(t, d.isReady(t.Context()))
}

// A script that shows its config and ends plays the daemon.
func TestOptionsAreInTheConfig(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\ncat $2; echo \"$5\"; exit 1\n"), 0o755))
	s := child.NewStarter()
	defer s.Close()
	o := Options{Binary: binary, Dir: t.TempDir(), Args: []string{"-more"}}
	_, err := Start(t.Context(), s, o)
	assert.ErrorContains(t, err, "name: bench")
	assert.ErrorContains(t, err, "-more")
	assert.NotContains(t, err.Error(), "redis_option")
	o.Redis = "hot_keys: {enable: false}"
	_, err = Start(t.Context(), s, o)
	assert.ErrorContains(t, err, "\n      redis_option: {hot_keys: {enable: false}}\n    endpoints:\n")
}
