package restart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"samaritan/internal/testredis"
)

// configScenarios are those in which the config or the version is another one afterwards.
func configScenarios() []Scenario {
	return []Scenario{
		{"a config that is not valid", false, invalidConfig},
		{"a config with an address in use", false, addressInUse},
		{"listeners added, removed and moved", false, listenersChange},
		{"the admin server moves", false, adminMoves},
		{"log level and hot keys stay", false, settingsStay},
		{"sessions of another version", false, otherSessions},
		{"a protocol of another version", true, otherProtocol},
	}
}

func invalidConfig(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		text := strings.Replace(r.config.text(), "protocol: Redis", "protocol: Gopher", 1)
		if err := errors.Join(r.ConfigureText(text), r.Hangup(), r.awaitFailure(ctx, "Gopher")); err != nil {
			return err
		}
		answer, err := r.Post(ctx, "/ops/hotrestart")
		if err == nil || !bytes.Contains(answer, []byte("Gopher")) {
			return fmt.Errorf("restart: a config that is not valid: POST /ops/hotrestart says %q, %w", answer, err)
		}
		return errors.Join(r.Configure(r.config), r.goodRestart(ctx), r.awaitLost(ctx, 0))
	})
}

func addressInUse(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		l, err := net.Listen("tcp", r.spare[0])
		if err != nil {
			return err
		}
		defer l.Close()
		c := r.config
		c.Services = append(c.Services[:1:1], Service{Name: "other", Listen: r.spare[0], Nodes: s.Nodes})
		if err := errors.Join(r.Configure(c), r.Hangup(), r.awaitFailure(ctx, "address already in use")); err != nil {
			return err
		}
		if err := errors.Join(r.awaitLost(ctx, 0), l.Close(), r.goodRestart(ctx)); err != nil {
			return err
		}
		return errors.Join(call(r.spare[0], "new"), r.awaitLost(ctx, 0))
	})
}

// listenersChange has a service that goes away, one that comes, and one that moves with its
// clients.
func listenersChange(ctx context.Context, s *Stand) error {
	o := RigOptions{Config: func(c *Config, spare []string) {
		c.Services = append(c.Services, Service{Name: "goes", Listen: spare[0], Nodes: s.Nodes})
	}}
	return s.withRig(ctx, o, func(r *Rig) error {
		r.cancel() // newcomers would have to know the address
		r.running.Wait()
		client, err := testredis.Dial(r.spare[0])
		if err != nil {
			return err
		}
		defer client.Close()
		if _, err := client.Do("PING"); err != nil {
			return err
		}
		c := r.config
		c.Services = []Service{
			{Name: serviceName, Listen: r.spare[1], Nodes: s.Nodes},
			{Name: "comes", Listen: r.spare[2], Nodes: s.Nodes},
		}
		if err := errors.Join(r.Configure(c), r.goodRestart(ctx), r.awaitLost(ctx, 0)); err != nil {
			return err
		}
		if _, err := client.Do("PING"); !isCut(err) {
			return fmt.Errorf("restart: a client of the service that has gone: %w", err)
		}
		for _, gone := range []string{r.addr, r.spare[0]} {
			if err := call(gone, "x"); !errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("restart: %s is not in the config any more, and a new client gets %w", gone, err)
			}
		}
		if err := errors.Join(call(r.spare[1], "moved"), call(r.spare[2], "new")); err != nil {
			return err
		}
		// And back, so that the ledger is read where it is expected.
		return errors.Join(r.Configure(r.config), r.goodRestart(ctx), r.awaitLost(ctx, 0), call(r.addr, "back"), call(r.spare[0], "back"))
	})
}

func adminMoves(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		c := r.config
		c.Admin = r.spare[0]
		if err := errors.Join(r.Configure(c), r.Hangup()); err != nil {
			return err
		}
		r.AskAt(c.Admin)
		pid, err := r.AwaitServing(ctx, r.first)
		if err != nil {
			return err
		}
		if err := errors.Join(r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid)); err != nil {
			return err
		}
		if conn, err := net.Dial("tcp", r.config.Admin); !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				_ = conn.Close()
			}
			return fmt.Errorf("restart: the old address of the admin server: %w", err)
		}
		return r.awaitLost(ctx, 0)
	})
}

// hotHits is how often a key is read to become hot.
const hotHits = 3000

func settingsStay(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, nobody, func(r *Rig) error {
		conn, err := testredis.Dial(r.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		for range hotHits {
			if _, err := conn.Do("GET", "the-hot-one"); err != nil {
				return err
			}
		}
		isHot := func() error {
			v, err := conn.Do("HOTKEY", "LIST")
			if err == nil && !strings.Contains(fmt.Sprint(v), "the-hot-one") {
				err = fmt.Errorf("restart: the hot key is not in the list, which is %v", v)
			}
			return err
		}
		if err := errors.Join(eventually(ctx, startLimit, isHot), r.goodRestart(ctx), isHot()); err != nil {
			return err
		}
		second := r.PID()
		if _, err := r.Post(ctx, "/ops/loglevel?level=ERROR"); err != nil {
			return err
		}
		if err := errors.Join(r.goodRestart(ctx), isHot()); err != nil {
			return err
		}
		// The second one has said that it had taken over; the third one must not.
		const line = `msg="took over" pid=%d`
		log := r.LogTail(1000)
		if !strings.Contains(log, fmt.Sprintf(line, r.first)) || strings.Contains(log, fmt.Sprintf(line, second)) {
			return errors.New("restart: the log level is not what it was set to")
		}
		return nil
	})
}

// otherSessions restarts with a program that gets the listening sockets only: clients stay
// where they are, and the old process ends when they have left.
func otherSessions(ctx context.Context, s *Stand) error {
	return staysWithOld(ctx, s, s.Programs.OtherSessions)
}

func otherProtocol(ctx context.Context, s *Stand) error {
	return staysWithOld(ctx, s, s.Programs.OtherProtocol)
}

// errNoProgram says that a scenario cannot run.
var errNoProgram = errors.New("a program for it is built by the tests only")

func staysWithOld(ctx context.Context, s *Stand, program string) error {
	if program == "" {
		return errNoProgram
	}
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		if err := errors.Join(r.Install(program), r.Hangup()); err != nil {
			return err
		}
		pid, err := r.AwaitServing(ctx, r.first)
		if err != nil {
			return err
		}
		if err := errors.Join(r.awaitLeft(ctx, rigClients), r.awaitLost(ctx, 0)); err != nil {
			return err
		}
		r.crowd.Stop()
		return errors.Join(r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid))
	})
}
