package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"samaritan/api"
	"samaritan/api/common"
)

func TestEveryStreamAsksForTheToken(t *testing.T) {
	r := startServer(t, Options{Token: "s3cret"})
	c := r.connect()
	for _, header := range []string{"", "s3cret", "Bearer s3cre", "Bearer s3crett", "bearer", "Basic s3cret"} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", header)
		if header == "" {
			ctx = context.Background()
		}
		d, err := c.StreamDependencies(ctx, &api.DependencyDiscoveryRequest{Instance: &common.Instance{Belong: "demo"}})
		require.NoError(t, err)
		_, err = d.Recv()
		assert.Equal(t, codes.Unauthenticated, status.Code(err), "%q: %v", header, err)
		cs, err := c.StreamSvcConfigs(ctx)
		require.NoError(t, err)
		_, err = cs.Recv()
		assert.Equal(t, codes.Unauthenticated, status.Code(err), "%q: %v", header, err)
		es, err := c.StreamSvcEndpoints(ctx)
		require.NoError(t, err)
		_, err = es.Recv()
		assert.Equal(t, codes.Unauthenticated, status.Code(err), "%q: %v", header, err)
	}
	assert.EqualValues(t, 18, r.Stats().Refused)

	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer s3cret")
	d, err := c.StreamDependencies(ctx, &api.DependencyDiscoveryRequest{Instance: &common.Instance{Belong: "demo"}})
	require.NoError(t, err)
	_, err = d.Recv()
	assert.NoError(t, err)
}

func TestClientCertificateIsAskedFor(t *testing.T) {
	cert, pool := certificate(t)
	r := startServer(t, Options{TLS: &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}})
	r.Depend("demo")
	with := func(c *tls.Config) grpc.DialOption { return grpc.WithTransportCredentials(credentials.NewTLS(c)) }

	in := dependencies(t, r.connect(with(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}})), "demo")
	assert.Equal(t, "+[] -[]", tellNames(in.next()))

	for name, c := range map[string]api.DiscoveryServiceClient{
		"no certificate":    r.connect(with(&tls.Config{RootCAs: pool})),
		"unknown authority": r.connect(with(&tls.Config{Certificates: []tls.Certificate{cert}})),
		"plaintext":         r.connect(),
	} {
		st, err := c.StreamDependencies(context.Background(), &api.DependencyDiscoveryRequest{})
		if err == nil {
			_, err = st.Recv()
		}
		assert.Equal(t, codes.Unavailable, status.Code(err), name)
	}
}

// certificate is for 127.0.0.1, signed by itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
