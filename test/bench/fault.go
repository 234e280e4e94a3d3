package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// Fault takes one of the five servers away, and gives it back.
type Fault struct {
	Name   string
	Begin  func(testing.TB, *servers.Server)
	Repair func(testing.TB, *servers.Server)
}

// Faults are those that must cost a caller nothing.
var Faults = []Fault{
	{
		"one-killed",
		func(tb testing.TB, s *servers.Server) { s.Kill(tb) },
		func(tb testing.TB, s *servers.Server) { s.Restart(tb) },
	},
	{
		"one-paused",
		func(tb testing.TB, s *servers.Server) { s.Pause(tb) },
		func(tb testing.TB, s *servers.Server) { s.Continue(tb) },
	},
}

// Timings are how long the calls of each operation took.
type Timings map[string][]time.Duration

// holder is one caller of this library's operations.
type holder struct {
	m    *redlock.Manager
	lock *redlock.Lock
}

const resource = "held"

// cycle is what a holder does, in order.
var cycle = []struct {
	operation string
	call      func(*holder, context.Context) error
}{
	{"Lock", func(h *holder, ctx context.Context) (err error) {
		h.lock, err = h.m.Lock(ctx, resource)
		return err
	}},
	{"Extend", func(h *holder, ctx context.Context) error { return h.lock.Extend(ctx, 0) }},
	{"IsLocked", func(h *holder, ctx context.Context) error {
		locked, err := h.m.IsLocked(ctx, resource)
		if err == nil && !locked {
			err = errors.New("it is held, and not locked")
		}
		return err
	}},
	{"Unlock", unlock},
	{"TryLock", func(h *holder, ctx context.Context) (err error) {
		h.lock, err = h.m.TryLock(ctx, resource)
		return err
	}},
	{"Unlock", unlock},
}

func unlock(h *holder, ctx context.Context) error { return h.lock.Unlock(ctx) }

// Operations has one caller time this library's operations, cycle by cycle, for
// as long as more says so. With one server of five away none may fail.
func (q *Quorum) Operations(tb testing.TB, more func() bool) Timings {
	tb.Helper()
	h := &holder{m: q.Manager}
	timings := Timings{}
	for more() {
		for _, step := range cycle {
			begun := time.Now()
			if err := step.call(h, context.Background()); err != nil {
				tb.Fatalf("%s: %v", step.operation, err)
			}
			timings[step.operation] = append(timings[step.operation], time.Since(begun))
		}
	}
	return timings
}

// AwaitAll returns when all five servers vote: a lock stands on each of them.
func (q *Quorum) AwaitAll(tb testing.TB) {
	tb.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
		lock, err := q.Manager.Lock(tb.Context(), resource)
		if err != nil {
			tb.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // for the last votes, behind the majority's
		have := q.keys(tb)
		if err := lock.Unlock(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		if have == Nodes {
			return
		}
	}
	tb.Fatal("not all servers vote")
}

// keys counts the servers that have the resource.
func (q *Quorum) keys(tb testing.TB) (have int) {
	tb.Helper()
	for _, s := range q.Servers {
		n, err := s.Client.Exists(tb.Context(), resource).Result()
		if err != nil {
			tb.Fatal(fmt.Errorf("%s: %w", s.Addr, err))
		}
		have += int(n)
	}
	return have
}
