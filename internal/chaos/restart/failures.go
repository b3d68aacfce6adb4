package restart

import (
	"context"
	"errors"
	"fmt"
)

// Scenario is a restart that goes wrong, or is out of the ordinary, and what has to come of
// it.
type Scenario struct {
	Name string
	Run  func(ctx context.Context, s *Stand) error
}

// Scenarios returns all.
func Scenarios() []Scenario {
	var all []Scenario
	for _, m := range misbehaviours() {
		all = append(all, Scenario{"child: " + m.plan, m.run})
	}
	return all
}

// misbehaviour is a new process that goes wrong at some point. The process before has to go
// on, or to take back, and a good restart has to work afterwards.
type misbehaviour struct {
	plan   string // see package misbehave
	reason string // a part of what /hotrestart gives as the last failure
	loses  int    // clients whose connections end
}

func misbehaviours() []misbehaviour {
	const (
		killed  = "signal: killed"
		late    = "-restart-timeout"
		took    = "died after it had taken over"
		notOver = "hand over"
	)
	return []misbehaviour{
		{plan: "exit check", reason: "misbehave: exits at check"},
		{plan: "exit start", reason: "exit status 3"},
		{plan: "exit hello", reason: "exit status 3"},
		{plan: "exit listeners", reason: "exit status 3"},
		{plan: "exit ready", reason: notOver},
		{plan: "exit go", reason: notOver},
		{plan: "exit taken", reason: took},
		{plan: "kill start", reason: killed},
		{plan: "kill connect", reason: "hello"},
		{plan: "kill hello", reason: killed},
		{plan: "kill listeners", reason: killed},
		{plan: "kill ready", reason: notOver},
		{plan: "kill go", reason: killed},
		{plan: "kill taken", reason: took},
		{plan: "kill 0", reason: took},
		{plan: "kill 3", reason: took, loses: 3},
		{plan: "kill 7", reason: took, loses: 7},
		{plan: "hang start", reason: late},
		{plan: "hang connect", reason: late},
		{plan: "hang hello", reason: late},
		{plan: "hang listeners", reason: late},
		{plan: "hang ready", reason: notOver},
		{plan: "hang go", reason: notOver},
		{plan: "hang taken", reason: took},
		{plan: "hang 3", reason: took, loses: 3},
		{plan: "stop start", reason: late},
		{plan: "stop listeners", reason: late},
		{plan: "stop go", reason: notOver},
		{plan: "stop taken", reason: took},
		{plan: "stop 3", reason: took, loses: 3},
		{plan: "garbage connect", reason: "protocol error"},
		{plan: "fail listeners", reason: "it does not want to"},
	}
}

func (m misbehaviour) run(ctx context.Context, s *Stand) (err error) {
	r, err := s.newRig(ctx, RigOptions{MayLose: m.loses > 0})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end()) }()
	if err := errors.Join(r.plan(m.plan), r.Hangup()); err != nil {
		return err
	}
	if err := r.awaitFailure(ctx, m.reason); err != nil {
		return err
	}
	if err := r.awaitLost(ctx, m.loses); err != nil {
		return err
	}
	if err := r.goodRestart(ctx); err != nil {
		return fmt.Errorf("after the failure: %w", err)
	}
	return r.awaitLost(ctx, m.loses)
}
