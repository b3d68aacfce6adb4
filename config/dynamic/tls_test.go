package dynamic

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"samaritan/api/bootstrap"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue writes a certificate for name, which may be an IP address, and its key.
func (a *authority) issue(name string, until time.Time) (certFile, keyFile string) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	dir := a.t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(a.t, certFile, "CERTIFICATE", der)
	writePEM(a.t, keyFile, "PRIVATE KEY", secret)
	return certFile, keyFile
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// server starts one with a certificate for name. With clients it wants one of theirs.
func (a *authority) server(name string, until time.Time, clients bool, most uint16) *server {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(name, until))
	require.NoError(a.t, err)
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: most}
	if clients {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(a.cert)
	}
	return listen(a.t, "", grpc.Creds(credentials.NewTLS(c)))
}

// refusedLate stands for any error. With TLS 1.3 the client has begun to talk when the
// server looks at its certificate: it may see just that the connection is closed.
const refusedLate = " "

func TestTLSConnections(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	in := time.Now().Add(time.Hour)
	cert, key := ours.issue("client", in)
	otherCert, otherKey := other.issue("client", in)
	for name, c := range map[string]struct {
		server *server
		tls    *bootstrap.ConfigSource_TLS
		err    string // "" when it connects
	}{
		"by address":       {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, ""},
		"by name":          {ours.server("manager", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file, ServerName: "manager"}, ""},
		"wrong name":       {ours.server("manager", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, "certificate"},
		"expired":          {ours.server("127.0.0.1", time.Now().Add(-time.Minute), false, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, "expired"},
		"unknown ca":       {other.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, "unknown authority"},
		"system's cas":     {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{}, "certificate"},
		"old version":      {ours.server("127.0.0.1", in, false, tls.VersionTLS11), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, "version"},
		"plaintext server": {listen(t, ""), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, "handshake"},
		"plaintext client": {ours.server("127.0.0.1", in, false, 0), nil, "connection error"},
		"mutual":           {ours.server("127.0.0.1", in, true, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file, CertFile: cert, KeyFile: key}, ""},
		"no client cert":   {ours.server("127.0.0.1", in, true, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file}, refusedLate},
		"other's client":   {ours.server("127.0.0.1", in, true, 0), &bootstrap.ConfigSource_TLS{CaFile: ours.file, CertFile: otherCert, KeyFile: otherKey}, refusedLate},
		"no ca file":       {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: "/nonexistent"}, "ca_file"},
		"empty ca file":    {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CaFile: key}, "has no certificate"},
		"no key file":      {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CertFile: cert, KeyFile: "/nonexistent"}, "key_file"},
		"mixed up":         {ours.server("127.0.0.1", in, false, 0), &bootstrap.ConfigSource_TLS{CertFile: cert, KeyFile: otherKey}, "key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: c.server.address, Tls: c.tls}}).run()
			if c.err == "" {
				r.connected()
				return
			}
			require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 2 }, within, time.Millisecond)
			assert.Contains(t, r.Status().LastError+refusedLate, c.err)
			assert.NotEmpty(t, r.Status().LastError)
			assert.Zero(t, r.stat("connects_total"))
			r.logged("level=WARN", 1)
		})
	}
}

func TestFilesAreReadAnewForEachConnection(t *testing.T) {
	ours := newAuthority(t)
	in := time.Now().Add(time.Hour)
	s := ours.server("127.0.0.1", in, true, 0)
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	token := filepath.Join(t.TempDir(), "token")
	r := prepare(t, Options{Source: &bootstrap.ConfigSource{
		Endpoint: s.address, TokenFile: token,
		Tls: &bootstrap.ConfigSource_TLS{CaFile: ours.file, CertFile: cert, KeyFile: key},
	}}).run()
	wait := func(what string) {
		r.until(what, func(s Status) bool { return !s.Connected && strings.Contains(s.LastError, what) })
	}
	wait("token_file")
	require.NoError(t, os.WriteFile(token, []byte(" \n"), 0o600))
	wait("is empty")
	require.NoError(t, os.WriteFile(token, []byte("two words"), 0o600))
	wait("without spaces")
	require.NoError(t, os.WriteFile(token, []byte("first\n"), 0o600))
	wait("cert_file")
	newCert, newKey := ours.issue("client", in)
	require.NoError(t, os.Rename(newKey, key))
	require.NoError(t, os.Rename(newCert, cert))
	p := s.accept()
	assert.Equal(t, []string{"Bearer first"}, p.d.header.Get("authorization"))
	r.connected()

	require.NoError(t, os.WriteFile(token, []byte("second"), 0o600))
	p.d.end <- nil
	p = s.accept()
	for _, header := range []map[string][]string{p.d.header, p.c.header, p.e.header} {
		assert.Equal(t, []string{"Bearer second"}, header["authorization"])
	}
}

func TestTokenIsNeverShown(t *testing.T) {
	s := listen(t, "")
	s.refuse = func(stream) error { return status.Error(codes.Unauthenticated, "token s3cr3t is not known") }
	r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: s.address, Token: "s3cr3t"}}).run()
	got := r.until("refused", func(s Status) bool { return s.LastError != "" })
	assert.Contains(t, got.LastError, "token *** is not known")
	assert.Zero(t, r.log.count("s3cr3t"))
	assert.Zero(t, r.log.count("unencrypted"), "it stays on this host")
}

func TestTokenInTheClearIsWarnedOf(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"10.255.255.1:1": true, "manager.invalid:1": true,
		"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false,
	} {
		source := &bootstrap.ConfigSource{Endpoint: endpoint, Token: "s3cr3t"}
		assert.Equal(t, want, inTheClear(source), endpoint)
		source.Tls = &bootstrap.ConfigSource_TLS{}
		assert.False(t, inTheClear(source), endpoint)
		assert.False(t, inTheClear(&bootstrap.ConfigSource{Endpoint: endpoint}), endpoint)
	}
	r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: "10.255.255.1:1", TokenFile: "/nonexistent"}}).run()
	require.Eventually(t, func() bool { return r.log.count("unencrypted") == 1 }, within, time.Millisecond)
}
