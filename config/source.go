package config

import (
	"samaritan/api/bootstrap"
)

// source checks how the management server is reached. That the files can be read
// is found out when they are: they may come later, and change.
func (v *validator) source(path string, s *bootstrap.ConfigSource) {
	v.hostPort(path+".endpoint", s.Endpoint)
	if s.Token != "" && s.TokenFile != "" {
		v.fail(path+".token_file", "cannot be given together with token")
	}
	if !isVisible(s.Token) {
		v.fail(path+".token", "must be printable ASCII without spaces")
	}
	t := s.Tls
	if t == nil {
		return
	}
	if t.CertFile != "" && t.KeyFile == "" {
		v.fail(path+".tls.key_file", "is required with cert_file")
	}
	if t.KeyFile != "" && t.CertFile == "" {
		v.fail(path+".tls.cert_file", "is required with key_file")
	}
	if t.ServerName != "" && !isHost(t.ServerName) {
		v.fail(path+".tls.server_name", "must be a host name or an IP address, is %q", clip(t.ServerName))
	}
}

// isVisible tells whether s can stand in a header as it is.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
