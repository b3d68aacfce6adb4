package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
	"samaritan/internal/filewatch"
	"samaritan/internal/logging"
	"samaritan/internal/stats"
	"samaritan/internal/testredis"
)

// inside runs a daemon in this process, to look into it.
func inside(t *testing.T, s sheet) (d *process, reload func(sheet)) {
	t.Helper()
	dir := t.TempDir()
	o := options{config: filepath.Join(dir, "c.yaml"), data: filepath.Join(dir, "data"), dataSet: true, workers: 1, drain: time.Second}
	o.pidFile = filepath.Join(o.data, "pid")
	put := func(s sheet) { require.NoError(t, os.WriteFile(o.config, []byte(s.text()), 0o600)) }
	put(s)
	boot, err := config.Load(o.config)
	require.NoError(t, err)
	var lines output
	log, err := logging.New(logging.Options{Writer: &lines})
	require.NoError(t, err)
	d, err = newDaemon(o, boot, filewatch.Sum{}, log)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- d.run() }()
	t.Cleanup(func() {
		d.stop()
		select {
		case err := <-ended:
			assert.NoError(t, err)
		case <-time.After(patience):
			t.Error("the daemon does not end")
		}
	})
	return d, func(s sheet) {
		t.Helper()
		put(s)
		_, err := d.reloader.reload(t.Context())
		require.NoError(t, err, lines.String())
	}
}

func (d *process) value(name string) float64 {
	for _, s := range stats.Gather(d.sources()).Samples() {
		if s.Name == name && s.Service == "" {
			return s.Value
		}
	}
	return -1
}

func TestServicesThatDidNotChangeAreNotTouched(t *testing.T) {
	s := sheet{admin: testredis.FreeAddress(t)}
	const services = 20
	for i := range services {
		s.services = append(s.services, entry{name: fmt.Sprint("s", i), listen: testredis.FreeAddress(t), nodes: []string{testredis.FreeAddress(t)}})
	}
	d, reload := inside(t, s)
	running := func(n float64) {
		t.Helper()
		require.Eventually(t, func() bool { return d.value("controller.services_running") == n }, patience, time.Millisecond)
	}
	running(services)
	procs := map[string]any{}
	for _, e := range s.services {
		procs[e.name] = d.controller.Proc(e.name)
	}

	reload(s)
	s.services[0].nodes = append([]string{}, s.services[0].nodes[0], s.services[0].nodes[0]) // the same, twice
	reload(s)
	assert.EqualValues(t, services, d.value("controller.events_total"), "nothing has changed")

	s.services[3].limit = 5
	s.services[4].nodes = []string{testredis.FreeAddress(t)}
	s.services[5].listen = testredis.FreeAddress(t)
	gone := s.services[6].name
	s.services = append(s.services[:6:6], s.services[7:]...)
	reload(s)
	require.Eventually(t, func() bool { return d.value("controller.events_total") == services+4 }, patience, time.Millisecond)
	running(services - 1)
	moved := s.services[5].name
	require.Eventually(t, func() bool { return d.controller.Proc(moved) != procs[moved] }, patience, time.Millisecond)
	for _, e := range s.services {
		if e.name != moved {
			assert.Same(t, procs[e.name], d.controller.Proc(e.name), e.name)
		}
	}
	assert.Nil(t, d.controller.Proc(gone))
	assert.EqualValues(t, 1, d.value("controller.service_restarts_total"))

	s.admin, s.top = testredis.FreeAddress(t), "log: {level: ERROR}\ninstance: {id: x}"
	reload(s)
	assert.EqualValues(t, services+4, d.value("controller.events_total"), "none of this is about services")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	require.Eventually(t, func() bool {
		resp, err := client.Get("http://" + s.admin + "/live")
		status, _ := answerOf(resp, err)
		return status == 200
	}, patience, time.Millisecond)
	text, err := d.boot.Load().MarshalJSON()
	require.NoError(t, err)
	assert.True(t, bytes.Contains(text, []byte(`"id":"x"`)))
}
