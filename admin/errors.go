package admin

import (
	"errors"
	"net/http"
)

// An error of a function in [Options] makes the answer 500, if it is none of these.
var (
	// ErrNotFound makes the answer 404.
	ErrNotFound = errors.New("not found")
	// ErrNotSupported makes the answer 400: what is asked about exists, but has
	// nothing of the kind.
	ErrNotSupported = errors.New("not supported")
	// ErrUnavailable makes the answer 503: not now.
	ErrUnavailable = errors.New("not available now")
	// ErrBusy makes the answer 409: something of the kind is under way.
	ErrBusy = errors.New("busy")
)

// Refused is the error of a reload for a config file that is not valid. The answer is
// 422 with the problems.
type Refused struct {
	// Reason says in one line that nothing has changed, and why.
	Reason string
	// Problems are one line each, with the file, the line and the field.
	Problems []string
}

// Error is the reason.
func (r *Refused) Error() string { return r.Reason }

// Reloaded is what a reload has changed. All lists are sorted, and empty when the
// config file is the same.
type Reloaded struct {
	// Names of services that were added, removed, and that have another config or
	// other endpoints.
	Added     []string `json:"added"`
	Removed   []string `json:"removed"`
	Changed   []string `json:"changed"`
	Endpoints []string `json:"endpoints"`
	// Settings are the other fields of the file that have changed, by their paths.
	Settings []string `json:"settings"`
}

// Restarted is what has come of a hot restart.
type Restarted struct {
	// PID of the process that serves now.
	PID int `json:"pid"`
}

// writeFailure answers for an error of a function in Options.
func writeFailure(w http.ResponseWriter, err error) {
	var refused *Refused
	if errors.As(err, &refused) {
		writeJSON(w, http.StatusUnprocessableEntity, struct {
			Error    string   `json:"error"`
			Problems []string `json:"problems"`
		}{refused.Reason, append([]string{}, refused.Problems...)})
		return
	}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrNotSupported):
		status = http.StatusBadRequest
	case errors.Is(err, ErrBusy):
		status = http.StatusConflict
	case errors.Is(err, ErrUnavailable):
		status = http.StatusServiceUnavailable
	}
	writeError(w, status, err.Error())
}
