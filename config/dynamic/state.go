package dynamic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"samaritan/api/service"
)

// The state file is JSON, one service a line, so that it can be read, and mended
// with an editor while there is no management server:
//
//	{"format":"samaritan dynamic state","version":1,"current":"2026-01-02T15:04:05Z",
//	 "endpoint":"10.0.0.9:9000","id":"web-1","belong":"web","services":[
//	{"name":"redis","config":{...},"endpoints":[{...},{...}]},
//	{"name":"mysql"}
//	]}
//
// config and endpoints are the messages of api/service as protobuf's JSON, as the
// server sent them, without defaults. One that is left out is not known yet; no
// endpoints, as the server said so, is []. Fields that are not known are passed over.
// It holds the secrets of the services.
const (
	stateFormat  = "samaritan dynamic state"
	stateVersion = 1
)

var (
	errNoState = errors.New("is not a state file")
	errVersion = fmt.Errorf("is of a newer version, this program knows %d", stateVersion)
)

// state is what is known, as it is kept.
type state struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Current  time.Time `json:"current"` // when it was last known to be current
	Endpoint string    `json:"endpoint"`
	ID       string    `json:"id,omitempty"`
	Belong   string    `json:"belong"`

	services []savedService
}

// savedService is a dependency. Its messages are shared, and not changed.
type savedService struct {
	name      string
	config    *service.Config // nil: not known
	known     bool            // the endpoints are, which may be none
	endpoints []*service.Endpoint
}

// stateLine is the form of a service in the file.
type stateLine struct {
	Name      string             `json:"name"`
	Config    json.RawMessage    `json:"config,omitempty"`
	Endpoints *[]json.RawMessage `json:"endpoints,omitempty"`
}

// encode returns the bytes of the file.
func (s *state) encode() ([]byte, error) {
	s.Format, s.Version = stateFormat, stateVersion
	head, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	b := bytes.NewBuffer(bytes.TrimSuffix(head, []byte("}")))
	b.WriteString(`,"services":[`)
	for i := range s.services {
		line, err := s.services[i].encode()
		if err != nil {
			return nil, fmt.Errorf("encode state of service %q: %w", shortName(s.services[i].name), err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

func (s *savedService) encode() (line []byte, err error) {
	l := stateLine{Name: s.name}
	if s.config != nil {
		if l.Config, err = encodeMessage(s.config); err != nil {
			return nil, err
		}
	}
	if s.known {
		list := make([]json.RawMessage, len(s.endpoints))
		for i, e := range s.endpoints {
			if list[i], err = encodeMessage(e); err != nil {
				return nil, err
			}
		}
		l.Endpoints = &list
	}
	return json.Marshal(l)
}

func encodeMessage(m proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
}

// decodeState reads what encode wrote. That it is whole does not mean that it is
// valid: that is for the rules of package config.
func decodeState(text []byte) (*state, error) {
	var file struct {
		state
		Services []stateLine `json:"services"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	if file.Format != stateFormat || file.Version < 1 {
		return nil, fmt.Errorf("decode state: %w", errNoState)
	}
	if file.Version > stateVersion {
		return nil, fmt.Errorf("decode state: version %d %w", file.Version, errVersion)
	}
	s := file.state
	s.services = make([]savedService, len(file.Services))
	for i := range file.Services {
		if err := s.services[i].decode(&file.Services[i]); err != nil {
			return nil, fmt.Errorf("decode state of service %q: %w", shortName(file.Services[i].Name), err)
		}
	}
	return &s, nil
}

func (s *savedService) decode(l *stateLine) error {
	s.name = l.Name
	if l.Config != nil {
		s.config = &service.Config{}
		if err := decodeMessage(l.Config, s.config); err != nil {
			return err
		}
	}
	if l.Endpoints == nil {
		return nil
	}
	s.known = true
	s.endpoints = make([]*service.Endpoint, len(*l.Endpoints))
	for i, text := range *l.Endpoints {
		s.endpoints[i] = &service.Endpoint{}
		if err := decodeMessage(text, s.endpoints[i]); err != nil {
			return err
		}
	}
	return nil
}

func decodeMessage(text json.RawMessage, m proto.Message) error {
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, m)
}
