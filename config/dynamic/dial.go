package dynamic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"samaritan/api/bootstrap"
	"samaritan/config"
)

// dial prepares one connection to the source. It is made when it is first used. A
// connection is not used again once it broke, so that files are read anew and the
// pauses between two connections are this package's own.
//
// The target is handed to the dialer as it is: net.Dialer resolves the name and tries
// its addresses. Proxies of the environment are not used.
func dial(s *bootstrap.ConfigSource, agent string, connect time.Duration) (*grpc.ClientConn, error) {
	secure, err := transport(s)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+s.Endpoint,
		grpc.WithTransportCredentials(secure),
		grpc.WithUserAgent(agent),
		grpc.WithContextDialer(dialTCP),
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		// Backoff is here for its second use, as another limit on the time to connect.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: connect, MaxDelay: connect}, MinConnectTimeout: connect}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newLenient()), grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", s.Endpoint, err)
	}
	return conn, nil
}

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// transport reads the files of the TLS settings.
func transport(s *bootstrap.ConfigSource) (credentials.TransportCredentials, error) {
	t := s.Tls
	if t == nil {
		return insecure.NewCredentials(), nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		c.ServerName = hostOf(s.Endpoint)
	}
	if t.CaFile != "" {
		pem, err := config.ReadRegular(t.CaFile, maxPEM)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s has no certificate", t.CaFile)
		}
	}
	if t.CertFile != "" {
		pair, err := readPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}

// readPair reads what shows the server who we are.
func readPair(certFile, keyFile string) (pair tls.Certificate, err error) {
	cert, err := config.ReadRegular(certFile, maxPEM)
	if err != nil {
		return pair, err
	}
	key, err := config.ReadRegular(keyFile, maxPEM)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, key)
}

// readToken returns the token to send, "" for none. Its errors do not hold it.
func readToken(s *bootstrap.ConfigSource) (string, error) {
	if s.TokenFile == "" {
		return s.Token, nil
	}
	text, err := config.ReadRegular(s.TokenFile, maxToken)
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	text = bytes.TrimSpace(text)
	if err := checkToken(text); err != nil {
		return "", fmt.Errorf("read token_file: %s %w", s.TokenFile, err)
	}
	return string(text), nil
}

// checkToken tells whether the token can stand in a header.
func checkToken(token []byte) error {
	if len(token) == 0 {
		return errors.New("is empty")
	}
	for _, b := range token {
		if b <= ' ' || b >= 0x7f {
			return errors.New("must be printable ASCII without spaces")
		}
	}
	return nil
}

// inTheClear tells whether a token would leave this host unencrypted.
func inTheClear(s *bootstrap.ConfigSource) bool {
	return s.Tls == nil && (s.Token != "" || s.TokenFile != "") && !isLoopback(hostOf(s.Endpoint))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// hostOf is the host of an endpoint that was validated.
func hostOf(endpoint string) string {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return endpoint
	}
	return host
}
