package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"samaritan/examples/discovery/server"
)

// options are the command line.
type options struct {
	dir       string
	listen    string
	cert      string
	key       string
	clientCA  string
	tokenFile string
	check     bool
	debug     bool
}

func parse(args []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("discovery", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.dir, "dir", "", "the `directory` with dependencies.yaml and services/ (required)")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9000", "the `address` to serve on")
	flags.StringVar(&o.cert, "tls-cert", "", "serve with TLS: the `file` of the certificate and its chain, PEM")
	flags.StringVar(&o.key, "tls-key", "", "the `file` of the private key, PEM")
	flags.StringVar(&o.clientCA, "client-ca", "", "ask for client certificates signed by those in this `file`, PEM")
	flags.StringVar(&o.tokenFile, "token-file", "", "ask for the bearer token in this `file`")
	flags.BoolVar(&o.check, "check", false, "check the directory, print every problem, and exit with 0 or 1")
	flags.BoolVar(&o.debug, "debug", false, "log subscriptions too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	err := o.validate(flags.Args())
	if err != nil {
		fmt.Fprintln(output, "discovery:", err)
	}
	return o, err
}

func (o options) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.dir == "":
		return errors.New("-dir is required")
	case (o.cert == "") != (o.key == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case o.clientCA != "" && o.cert == "":
		return errors.New("-client-ca needs -tls-cert and -tls-key")
	}
	return nil
}

func (o options) logOptions() *slog.HandlerOptions {
	if o.debug {
		return &slog.HandlerOptions{Level: slog.LevelDebug}
	}
	return nil
}

// server reads the files that the server needs.
func (o options) server(log *slog.Logger) (server.Options, error) {
	so := server.Options{Log: log}
	var err error
	if so.TLS, err = o.tls(); err != nil {
		return so, err
	}
	if o.tokenFile == "" {
		return so, nil
	}
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return so, fmt.Errorf("read the token: %w", err)
	}
	if so.Token = string(bytes.TrimSpace(token)); so.Token == "" {
		return so, fmt.Errorf("read the token: %s is empty", o.tokenFile)
	}
	return so, nil
}

// tls returns nil for plaintext.
func (o options) tls() (*tls.Config, error) {
	if o.cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if o.clientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.clientCA)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of clients: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authorities of clients: %s has no certificate", o.clientCA)
	}
	return c, nil
}
