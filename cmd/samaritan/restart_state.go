package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"samaritan/internal/logging"
	"samaritan/internal/stats"
	"samaritan/proc"
	"samaritan/proc/redis"
)

// sessionsVersion is raised when a process cannot take over the clients of one that has a
// lower version. It has not been so far.
const sessionsVersion = 1

// handedState is what a process knows that the next one has to know, too. Fields may be
// added; one that is missing is not taken over. In front of them are the clients of each
// service (see complete).
type handedState struct {
	Restarts uint64            `json:"restarts"`
	Totals   []byte            `json:"totals"`              // see stats.Totals
	LogLevel string            `json:"log_level,omitempty"` // when it is not that of the file
	OverFile string            `json:"over_file,omitempty"` // the level of the file then
	Services map[string][]byte `json:"services,omitempty"`  // see keeper
}

// handedUpdate is what the next one is told while this one drains.
type handedUpdate struct {
	Totals  []byte `json:"totals"`
	Clients int    `json:"clients"` // that are left here
	// ClientsOf has those of each service, with those of the processes before this one.
	ClientsOf map[string]int `json:"clients_of,omitempty"`
}

// takenOver is what the process before is told by the one that has taken over.
type takenOver struct {
	Services []string `json:"services"` // all it has
}

// keeper is a proc that knows something that the next process should know, such as hot
// keys.
type keeper interface {
	ExportState() ([]byte, error)
	ImportState([]byte) error
}

// exportState is what is known now, but for what complete adds. The numbers that people are
// shown stand still from here on, as the next process counts on from them.
func (d *process) exportState() ([]byte, error) {
	d.numbers.hold()
	s := &handedState{
		Restarts: d.restarter.restarts(), Totals: stats.Totals(d.numbers.sources()),
		Services: map[string][]byte{},
	}
	if level := d.log.LevelName(); d.levelIsOwn(level) {
		s.LogLevel, s.OverFile = level, d.levelOfFile()
	}
	d.eachProc(func(service string, p proc.Proc) {
		k, ok := p.(keeper)
		if !ok {
			return
		}
		known, err := k.ExportState()
		if err != nil {
			d.log.Warn("the new process does not learn what this one knows", "service", service, "error", err)
			return
		}
		s.Services[service] = known
	})
	return json.Marshal(s)
}

// numberSize is the size of the number of the next client.
const numberSize = 8

// clientsOf is the name of the first field of the state.
const clientsOf = "clients_of"

// complete puts in front what is only known when no client comes any more: the number of the
// next client and, as the first field, how many there are of each service. They are the first
// things to be read, as newcomers wait for that.
func complete(state []byte, clients map[string]int) []byte {
	counts, _ := json.Marshal(clients) // strings and numbers
	front := binary.BigEndian.AppendUint64(nil, uint64(redis.NextClientID()))
	front = fmt.Appendf(front, "{%q:%s,", clientsOf, counts)
	return append(front, state[1:]...) // there are other fields
}

func (d *process) levelOfFile() string { return d.boot.Load().Proto.GetLog().GetLevel().String() }

// levelIsOwn tells whether a level is not what the file says. One in force was set by hand then.
func (d *process) levelIsOwn(name string) bool {
	ofFile, err := logging.ParseLevel(d.levelOfFile())
	own, errOwn := logging.ParseLevel(name)
	return err == nil && errOwn == nil && ofFile != own
}

// takeLevel takes over a level that was set by hand, unless the file has another one by now
// than it had. The process before may not tell what it had.
func (d *process) takeLevel(level, overFile string) {
	if level == "" || overFile != "" && d.levelIsOwn(overFile) {
		return
	}
	if err := d.log.SetLevel(level); err != nil {
		d.log.Warn("the log level of the process before is not taken over", "error", err)
	}
}

func (d *process) exportUpdate(left int) ([]byte, error) {
	return json.Marshal(&handedUpdate{Totals: stats.Totals(d.allSources()), Clients: left, ClientsOf: d.clientsOf()})
}

// clientsOf is how many clients each service has, here and in the processes before this one.
func (d *process) clientsOf() map[string]int {
	clients := map[string]int{}
	d.eachProc(func(service string, p proc.Proc) {
		n := 0
		if l, ok := p.(proc.Limited); ok {
			n = l.Elsewhere() // first: one that comes from there now counts twice, not never
		}
		if n += p.(proc.Pauser).Clients(); n > 0 {
			clients[service] = n
		}
	})
	return clients
}

// setElsewhere has the clients that each service has in the processes before count towards its
// limit. A service without any need not be there.
func (d *process) setElsewhere(clients map[string]int) {
	d.eachProc(func(service string, p proc.Proc) {
		if l, ok := p.(proc.Limited); ok {
			l.SetElsewhere(clients[service])
		}
	})
}

// takeNumber takes over the number of the next client, and returns the rest of the state.
func takeNumber(state []byte) []byte {
	if len(state) < numberSize {
		return nil
	}
	redis.SetNextClientID(int64(binary.BigEndian.Uint64(state)))
	return state[numberSize:]
}

// clientsBefore reads how many clients each service has in the processes before, and no more of
// the state. One of another version may not have it.
func clientsBefore(state []byte) (clients map[string]int) {
	in := json.NewDecoder(bytes.NewReader(state))
	_, _ = in.Token() // the bracket
	if name, err := in.Token(); err == nil && name == clientsOf {
		_ = in.Decode(&clients) // whether the state is good is looked at later
	}
	return clients
}

// importState takes over what another process has exported. What cannot be used is
// said, and is no reason not to serve.
func (d *process) importState(data []byte) {
	var s handedState
	if err := json.Unmarshal(data, &s); err != nil {
		d.log.Error("the state of the process before is not taken over", "error", err)
		return
	}
	d.restarter.begun(s.Restarts + 1)
	d.takeLevel(s.LogLevel, s.OverFile)
	d.takeTotals(s.Totals)
	for service, state := range s.Services {
		if err := d.importService(service, state); err != nil {
			d.log.Warn("what the process before knew is not taken over", "service", service, "error", err)
		}
	}
}

func (d *process) importService(service string, state []byte) error {
	p := d.controller.Proc(service)
	if p == nil {
		return nil // it is not in the config any more
	}
	k, ok := p.(keeper)
	if !ok {
		return fmt.Errorf("its protocol is another one now")
	}
	return k.ImportState(state)
}

func (d *process) takeTotals(data []byte) {
	if err := d.carried.Set(data); err != nil {
		d.log.Error("the numbers of the process before are not taken over", "error", err)
	}
}

// importUpdate takes over what the process before has counted meanwhile.
func (d *process) importUpdate(data []byte) {
	var u handedUpdate
	if err := json.Unmarshal(data, &u); err != nil {
		d.log.Error("an update of the process before is not taken over", "error", err)
		return
	}
	d.takeTotals(u.Totals)
	d.setElsewhere(u.ClientsOf)
	d.restarter.predecessorHas(u.Clients)
}
