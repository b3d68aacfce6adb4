package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Scenario is a restart that goes wrong, or is out of the ordinary, and what has to come of
// it.
type Scenario struct {
	Name string
	Long bool // not in the short form
	Run  func(ctx context.Context, s *Stand) error
}

// Scenarios returns all, first those that take long.
func Scenarios() []Scenario {
	var all []Scenario
	for _, m := range misbehaviours() {
		all = append(all, Scenario{"child: " + m.plan, m.long, m.run})
	}
	return slices.Concat(sweepScenarios(), transferScenarios(), signalScenarios(), configScenarios(), all)
}

// misbehaviour is a new process that goes wrong at some point. The process before has to go
// on, or to take back, and a good restart has to work afterwards.
type misbehaviour struct {
	plan   string // see package misbehave
	reason string // a part of what /hotrestart gives as the last failure
	loses  int    // clients whose connections end
	long   bool   // like others
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
		{plan: "exit hello", reason: "exit status 3", long: true},
		{plan: "exit listeners", reason: "exit status 3", long: true},
		{plan: "exit ready", reason: notOver, long: true},
		{plan: "exit go", reason: notOver, long: true},
		{plan: "exit taken", reason: took, long: true},
		{plan: "kill start", reason: killed, long: true},
		{plan: "kill connect", reason: "hello", long: true},
		{plan: "kill hello", long: true, reason: killed},
		{plan: "kill listeners", reason: killed},
		{plan: "kill ready", reason: notOver},
		{plan: "kill go", reason: killed},
		{plan: "kill taken", reason: took},
		{plan: "kill 0", reason: took, long: true},
		{plan: "kill 3", reason: took, loses: 3},
		{plan: "kill 7", reason: took, loses: 7, long: true},
		{plan: "hang start", reason: late, long: true},
		{plan: "hang connect", reason: late, long: true},
		{plan: "hang hello", reason: late, long: true},
		{plan: "hang listeners", reason: late},
		{plan: "hang ready", reason: notOver, long: true},
		{plan: "hang go", reason: notOver, long: true},
		{plan: "hang taken", reason: took},
		{plan: "hang 3", reason: took, loses: 3, long: true},
		{plan: "stop start", reason: late, long: true},
		{plan: "stop listeners", reason: late, long: true},
		{plan: "stop go", long: true, reason: notOver},
		{plan: "stop taken", reason: took, long: true},
		{plan: "stop 3", reason: took, loses: 3},
		{plan: "garbage connect", reason: "protocol error"},
		{plan: "fail listeners", long: true, reason: "it does not want to"},
	}
}

func (m misbehaviour) run(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{MayLose: m.loses > 0}, func(r *Rig) error { return m.happen(ctx, r) })
}

func (m misbehaviour) happen(ctx context.Context, r *Rig) error {
	if m.loses > 0 {
		if err := r.withoutNewcomers(ctx); err != nil {
			return err
		}
	}
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
