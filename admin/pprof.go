package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	profiles "runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// maxProfile is the longest profile that can be asked for.
const maxProfile = 5 * time.Minute

// pprof serves what is below /debug/pprof/. The handlers of net/http/pprof add
// the time of a profile to the write deadline themselves (as an
// http.ResponseController does), and the read deadline ends with the request.
func (s *Server) pprof(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == pprofPath { // the links of the index are relative
		http.Redirect(w, r, pprofPath+"/", http.StatusMovedPermanently)
		return
	}
	handler, ok := profileHandler(strings.Trim(strings.TrimPrefix(r.URL.Path, pprofPath), "/"))
	if !ok {
		writeError(w, http.StatusNotFound, fmt.Sprintf("no such profile: %s", r.URL.Path))
		return
	}
	if err := checkSeconds(r.URL.Query().Get("seconds")); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	handler.ServeHTTP(w, r)
}

func profileHandler(name string) (http.Handler, bool) {
	switch name {
	case "":
		return http.HandlerFunc(pprof.Index), true
	case "cmdline":
		return http.HandlerFunc(pprof.Cmdline), true
	case "profile":
		return http.HandlerFunc(pprof.Profile), true
	case "symbol":
		return http.HandlerFunc(pprof.Symbol), true
	case "trace":
		return http.HandlerFunc(pprof.Trace), true
	}
	return pprof.Handler(name), profiles.Lookup(name) != nil
}

// checkSeconds bounds how long a profile may run. What is missing is the
// handler's own default, 30 s at most.
func checkSeconds(seconds string) error {
	if seconds == "" {
		return nil
	}
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil || !(n > 0) || n > maxProfile.Seconds() {
		return fmt.Errorf("seconds: want a number above 0 and up to %d", int(maxProfile.Seconds()))
	}
	return nil
}
