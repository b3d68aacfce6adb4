package samaritan

import (
	"io"
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
	serves := d.serves("/ready")
	assert.ErrorIs(t, serves(t.Context()), errStatus)
	status = http.StatusOK
	assert.NoError(t, serves(t.Context()))
	l.Close()
	assert.Error(t, serves(t.Context()))
}

// A script that shows its config and ends plays the daemon.
func TestOptionsAreInTheConfig(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\ncat $2; echo \"$5\"; exit 1\n"), 0o755))
	s := child.NewStarter()
	defer s.Close()
	o := Options{
		Binary: binary, Dir: t.TempDir(), Args: []string{"-more"},
		Service: "protocol: Redis, redis_option: {hot_keys: {enable: false}}", Endpoints: []string{"127.0.0.1:1", "127.0.0.2:2"},
		More: "instance: {id: one}\n",
	}
	_, err := Start(t.Context(), s, o)
	assert.ErrorContains(t, err, "name: bench")
	assert.ErrorContains(t, err, ", protocol: Redis, redis_option: {hot_keys: {enable: false}}}\n    endpoints:\n"+
		"      - address: {ip: 127.0.0.1, port: 1}\n      - address: {ip: 127.0.0.2, port: 2}\ninstance: {id: one}\n-more")
	o.Endpoints = []string{"127.0.0.1"}
	_, err = Start(t.Context(), s, o)
	assert.ErrorContains(t, err, "missing port")
}

func TestStatIsFound(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/stats?filter=a.b", r.URL.String())
		_, _ = io.WriteString(w, "a.b: 7\na.bc: 8\n")
	}))
	d := &Daemon{admin: strings.TrimPrefix(admin.URL, "http://")}
	v, err := d.Stat(t.Context(), "a.b")
	require.NoError(t, err)
	assert.Equal(t, 7.0, v)
	admin.Close()
	_, err = d.Stat(t.Context(), "a.b")
	assert.Error(t, err)
}
