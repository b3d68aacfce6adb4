package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// restartWrite is how long a hot restart may take until it is answered; what starts and
// checks the new process has a shorter limit of its own.
const restartWrite = 10 * time.Minute

// done is the answer of every operation; scripts know it.
var done = map[string]string{"msg": "OK"}

// shutdown answers before it begins: after that the server may be gone. Asked
// again, it only answers.
func (s *Server) shutdown() http.HandlerFunc {
	var once sync.Once
	return func(w http.ResponseWriter, r *http.Request) {
		s.log.Info("shutdown requested", "client", r.RemoteAddr)
		w.Header().Set("Connection", "close")
		writeJSON(w, http.StatusOK, done)
		_ = http.NewResponseController(w).Flush()
		once.Do(s.o.Shutdown)
	}
}

// hotRestart answers with the process that serves now. The answer comes from the old one,
// whose last one it is on this connection.
func (s *Server) hotRestart(w http.ResponseWriter, r *http.Request) {
	s.log.Info("operation requested", "path", r.URL.Path, "client", r.RemoteAddr)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(restartWrite))
	got, err := s.o.HotRestart(r.Context())
	if err != nil {
		writeFailure(w, err)
		return
	}
	w.Header().Set("Connection", "close")
	writeJSON(w, http.StatusOK, struct {
		Msg string `json:"msg"`
		Restarted
	}{done["msg"], got})
}

// reload answers with what has changed, beside what scripts know.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	s.log.Info("operation requested", "path", r.URL.Path, "client", r.RemoteAddr)
	got, err := s.o.Reload(r.Context())
	if err != nil {
		writeFailure(w, err)
		return
	}
	for _, list := range []*[]string{&got.Added, &got.Removed, &got.Changed, &got.Endpoints, &got.Settings} {
		*list = append([]string{}, *list...) // never null
	}
	writeJSON(w, http.StatusOK, struct {
		Msg string `json:"msg"`
		Reloaded
	}{done["msg"], got})
}

func (s *Server) logLevel(w http.ResponseWriter, r *http.Request) {
	level, err := wantedLevel(r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit))
		return
	case err == nil && level == "":
		err = errors.New(`no level: send {"level": "DEBUG"} or ?level=DEBUG`)
	case err == nil:
		err = s.o.SetLogLevel(level)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.log.Info("log level changed", "level", level, "client", r.RemoteAddr)
	writeJSON(w, http.StatusOK, done)
}

// wantedLevel takes the level from the body or, when that is empty, from the
// query.
func wantedLevel(r *http.Request) (string, error) {
	body, err := io.ReadAll(r.Body) // serveHTTP bounds it
	if err != nil {
		return "", fmt.Errorf("read the body: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return r.URL.Query().Get("level"), nil
	}
	var want struct{ Level string }
	if err := json.Unmarshal(body, &want); err != nil {
		return "", fmt.Errorf("read the body: %w", err)
	}
	return want.Level, nil
}
