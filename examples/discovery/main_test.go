package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"samaritan/api"
	"samaritan/api/common"
	"samaritan/api/service"
	"samaritan/config"
)

const (
	patience = 10 * time.Second
	pollTime = 2 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is the command at work.
type program struct {
	t      *testing.T
	output output
	stop   context.CancelFunc
	result chan int
}

func run(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, stop: cancel, result: make(chan int, 1)}
	go func() { p.result <- start(ctx, append(args, "-listen", "127.0.0.1:0"), &p.output, &p.output) }()
	t.Cleanup(cancel)
	return p
}

var serving = regexp.MustCompile(`msg=serving address=(\S+)`)

// connect makes a client of the program.
func (p *program) connect(creds credentials.TransportCredentials) api.DiscoveryServiceClient {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return serving.MatchString(p.output.String()) }, patience, pollTime)
	c, err := grpc.NewClient(serving.FindStringSubmatch(p.output.String())[1], grpc.WithTransportCredentials(creds))
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	return api.NewDiscoveryServiceClient(c)
}

func (p *program) end() int {
	p.t.Helper()
	p.stop()
	select {
	case code := <-p.result:
		return code
	case <-time.After(patience):
		require.Fail(p.t, "the program does not end")
		return -1
	}
}

func depend(ctx context.Context, t *testing.T, c api.DiscoveryServiceClient) []*service.Service {
	t.Helper()
	st, err := c.StreamDependencies(ctx, &api.DependencyDiscoveryRequest{Instance: &common.Instance{Id: "demo-1", Belong: "demo"}})
	require.NoError(t, err)
	m, err := st.Recv()
	require.NoError(t, err)
	return m.Added
}

func TestEditedFileReachesTheSidecar(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("sample")))
	p := run(t, "-dir", dir)
	c := p.connect(insecure.NewCredentials())
	ctx := t.Context()
	assert.Len(t, depend(ctx, t, c), 2)

	st, err := c.StreamSvcEndpoints(ctx)
	require.NoError(t, err)
	require.NoError(t, st.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: []string{"web"}}))
	m, err := st.Recv()
	require.NoError(t, err)
	assert.Len(t, m.Added, 3)

	path := filepath.Join(dir, "services/web.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte("port: 8002"), []byte("port: 8004"), 1), 0o600))
	m, err = st.Recv()
	require.NoError(t, err)
	assert.EqualValues(t, 8004, m.Added[0].Address.Port)
	assert.EqualValues(t, 8002, m.Removed[0].Address.Port)

	assert.Equal(t, exitOK, p.end())
	for _, line := range []string{
		`msg="services changed" added="redis-demo web"`,
		`msg="stream begins" stream=dependencies peer=127.0.0.1:`,
		`instance=demo-1 belong=demo`,
		`msg="sent dependencies"`,
		`services=web added=1 removed=1`,
	} {
		assert.Contains(t, p.output.String(), line)
	}
}

// TestStartWithABadFileEndsNoService: the first message of the dependencies is taken for
// the whole, so a service whose file is broken has to be in it.
func TestStartWithABadFileEndsNoService(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("sample")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "services/web.yaml"), []byte("config: ["), 0o600))
	p := run(t, "-dir", dir)
	c := p.connect(insecure.NewCredentials())
	assert.Len(t, depend(t.Context(), t, c), 2)
	assert.Equal(t, exitOK, p.end())
}

func TestSampleIsValid(t *testing.T) {
	var out output
	assert.Equal(t, exitOK, start(t.Context(), []string{"-check", "-dir", "sample"}, &out, &out))
	assert.Equal(t, "sample: OK\n", out.String())

	sidecar, err := config.Load("sample/sidecar.yaml")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:9000", sidecar.Proto.DynamicSourceConfig.Endpoint)
	assert.Equal(t, "demo", sidecar.Proto.Instance.Belong)
	assert.NotEmpty(t, sidecar.Proto.Instance.Id)
	o, err := parse([]string{"-dir", "x"}, &out)
	require.NoError(t, err)
	assert.Equal(t, sidecar.Proto.DynamicSourceConfig.Endpoint, o.listen)
}

func TestCheckPrintsEveryProblem(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("sample")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "services/bad.yaml"), []byte("config: {protocl: TCP}\nendpoints: 7\n"), 0o600))
	var out, problems output
	assert.Equal(t, exitFailed, start(t.Context(), []string{"-check", "-dir", dir}, &out, &problems))
	assert.Contains(t, problems.String(), "bad.yaml:1: config.protocl: unknown field, did you mean protocol?\n")
	assert.Contains(t, problems.String(), "bad.yaml:2: endpoints: must be a list, is 7\n")
	assert.Empty(t, out.String())
}

func TestTLSAndToken(t *testing.T) {
	dir := t.TempDir()
	cert, key, token := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "token")
	pool := writeCertificate(t, cert, key)
	require.NoError(t, os.WriteFile(token, []byte("s3cret\n"), 0o600))
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)

	p := run(t, "-dir", "sample", "-tls-cert", cert, "-tls-key", key, "-client-ca", cert, "-token-file", token)
	c := p.connect(credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer s3cret")
	assert.Len(t, depend(ctx, t, c), 2)
	assert.Equal(t, exitOK, p.end())
	assert.NotContains(t, p.output.String(), "s3cret")
}

func TestBadCommandLines(t *testing.T) {
	broken := t.TempDir()
	require.NoError(t, os.CopyFS(broken, os.DirFS("sample")))
	require.NoError(t, os.WriteFile(filepath.Join(broken, "dependencies.yaml"), []byte("demo: ["), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeCertificate(t, cert, key)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "-dir is required", nil},
		{exitUsage, "flag provided but not defined", []string{"-nonsense"}},
		{exitUsage, `unexpected argument "word"`, []string{"-dir", "sample", "word"}},
		{exitUsage, "-tls-cert and -tls-key go together", []string{"-dir", "sample", "-tls-cert", cert}},
		{exitUsage, "-client-ca needs", []string{"-dir", "sample", "-client-ca", cert}},
		{exitOK, "the directory with", []string{"-h"}},
		{exitFailed, "list the services", []string{"-dir", t.TempDir()}},
		{exitFailed, "list the services", []string{"-check", "-dir", t.TempDir()}},
		{exitFailed, "dependencies.yaml:1: did not find", []string{"-dir", broken}},
		{exitFailed, "listen tcp", []string{"-dir", "sample", "-listen", "nonsense"}},
		{exitFailed, "read the token", []string{"-dir", "sample", "-token-file", "absent"}},
		{exitFailed, "is empty", []string{"-dir", "sample", "-token-file", empty}},
		{exitFailed, "load the certificate", []string{"-dir", "sample", "-tls-cert", key, "-tls-key", cert}},
		{exitFailed, "read the authorities", []string{"-dir", "sample", "-tls-cert", cert, "-tls-key", key, "-client-ca", "absent"}},
		{exitFailed, "has no certificate", []string{"-dir", "sample", "-tls-cert", cert, "-tls-key", key, "-client-ca", empty}},
	} {
		var out output
		assert.Equal(t, c.code, start(t.Context(), c.args, &out, &out), c.args)
		assert.Contains(t, out.String(), c.want, c.args)
	}
}

// writeCertificate writes one for 127.0.0.1, signed by itself, and its key.
func writeCertificate(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return pool
}

// output is a bytes.Buffer for two goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
