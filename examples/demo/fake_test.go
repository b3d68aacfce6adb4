package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// asDaemon makes the test binary behave as the daemon does towards the demo:
// ready, or exits.
const asDaemon = "DEMO_TEST_DAEMON"

func TestMain(m *testing.M) {
	switch os.Getenv(asDaemon) {
	case "":
		goleak.VerifyTestMain(m)
	case "exits":
		os.Exit(3)
	default:
		if err := fakeDaemon(); err != nil {
			fmt.Fprintln(os.Stderr, "fake daemon:", err)
			os.Exit(1)
		}
	}
}

var adminPort = regexp.MustCompile(`bind: \{ip: 127\.0\.0\.1, port: (\d+)\}`)

// fakeDaemon answers /ready, and ends on SIGTERM.
func fakeDaemon() error {
	flags := flag.NewFlagSet("fake", flag.ContinueOnError)
	_ = flags.Bool("supervise", false, "")
	config, data := flags.String("config", "", ""), flags.String("data", "", "")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)

	text, err := os.ReadFile(*config)
	if err != nil {
		return err
	}
	port := adminPort.FindSubmatch(text)
	if port == nil {
		return fmt.Errorf("no admin port in %s", text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+string(port[1]))
	if err != nil {
		return err
	}
	pidFile := filepath.Join(*data, "samaritan.pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return err
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}()
	<-signals
	return nil
}
