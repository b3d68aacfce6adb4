package config

import "samaritan/api/bootstrap"

// ParseService reads a service from a file of its own: an entry of static_services
// whose name comes from outside and may be left out. It is checked and completed as by
// [Parse], save that nothing is known of other services and of the admin server: two
// may want the same listener. The file stands for itself in the problems, whose paths
// begin with name, config or endpoints. The error is of the type [Problems].
func ParseService(file, name string, data []byte) (*Service, error) {
	r := newReport(file)
	s := &bootstrap.StaticService{}
	if decode(r, data, s) {
		(&validator{report: r}).serviceFile(name, s)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return &Service{Name: name, Config: s.Config, Endpoints: uniqueEndpoints(s.Endpoints)}, nil
}

// serviceFile fills in the defaults and checks the whole.
func (v *validator) serviceFile(name string, s *bootstrap.StaticService) {
	if s.Name != "" && s.Name != name {
		v.fail("name", "must be %q or be left out, is %q", clip(name), clip(s.Name))
	}
	v.name("name", name)
	if len(s.Endpoints) == 0 {
		v.fail("endpoints", "must have at least one endpoint")
	}
	v.endpoints("endpoints", s.Endpoints)
	if s.Config == nil {
		v.fail("config", "is required")
		return
	}
	fillConfig(s.Config)
	v.config("config", s.Config)
}
