package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// A minority of two is the most that five nodes can spare: all others must vote.
func TestAMinorityThatIsGoneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	eachAbsence(t, 5, func(t *testing.T, q *Quorum, away absence) {
		const nodeTimeout = 5 * time.Second
		m := q.New(t, redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute})
		stranger := q.New(t, redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute}) // not connected yet
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		for _, s := range q.Servers[3:] {
			away.leave(s, t)
		}
		wantAllWorks(t, m, held, nodeTimeout/2)
		other := wantLock(t, stranger, q.Resource(t), nodeTimeout/2)
		wantAllWorks(t, stranger, other, nodeTimeout/2)
		for _, s := range q.Servers[3:] {
			away.back(s, t)
		}
		q.WantFree(t, held.Resource(), 10*time.Second)
		q.WantFree(t, other.Resource(), 10*time.Second)
	})
}

// wantLock takes resource within limit.
func wantLock(t *testing.T, m *redlock.Manager, resource string, limit time.Duration) (lock *redlock.Lock) {
	t.Helper()
	err := inTime(t, "Lock", limit, func() (err error) {
		lock, err = m.Lock(t.Context(), resource)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// wantAllWorks uses a lock of m and gives it back; no call may take longer than
// limit.
func wantAllWorks(t *testing.T, m *redlock.Manager, held *redlock.Lock, limit time.Duration) {
	t.Helper()
	ctx := t.Context()
	for _, step := range []struct {
		name string
		call func() error
	}{
		{"TryLock of what is held", func() error {
			if _, err := m.TryLock(ctx, held.Resource()); !errors.Is(err, redlock.ErrTaken) {
				return errors.Join(errors.New("want ErrTaken"), err)
			}
			return nil
		}},
		{"IsLocked", func() error { return checkLocked(m, held.Resource(), true) }},
		{"Extend", func() error { return held.Extend(ctx, 0) }},
		{"ExtendBy", func() error { return held.ExtendBy(ctx, time.Second) }},
		{"IsHeld", func() error { _, err := held.IsHeld(ctx); return err }},
		{"Unlock", func() error { return held.Unlock(ctx) }},
		{"IsLocked of what is free", func() error { return checkLocked(m, held.Resource(), false) }},
		{"Do", func() error {
			return m.Do(ctx, held.Resource(), func(context.Context, *redlock.Lock) error { return nil })
		}},
	} {
		if err := inTime(t, step.name, limit, step.call); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestWithoutAMajorityEveryCallFailsInTimeAndNamesTheNodesThatAreGone(t *testing.T) {
	t.Parallel()
	eachAbsence(t, 5, func(t *testing.T, q *Quorum, away absence) {
		m := newConnected(t, q, brief)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		for _, s := range q.Servers[2:] {
			away.leave(s, t)
		}
		until, ctx := held.Until(), t.Context()
		var all sync.WaitGroup
		for name, call := range map[string]func() error{
			"TryLock":  func() error { _, err := m.TryLock(ctx, q.Resource(t)); return err },
			"Extend":   func() error { return held.Extend(ctx, 2*time.Minute) },
			"IsHeld":   func() error { _, err := held.IsHeld(ctx); return err },
			"IsLocked": func() error { _, err := m.IsLocked(ctx, held.Resource()); return err },
			"Inspect":  func() error { _, err := m.Inspect(ctx, held.Resource()); return err },
			"Resume":   func() error { _, err := m.Resume(ctx, q.Resource(t), "token"); return err },
			"Ping":     func() error { return m.Ping(ctx) },
		} {
			all.Go(func() {
				err := inTime(t, name, nodeTimeout+soon, call)
				wantNoQuorumOf(t, name, err, q, 2, 3, 4)
			})
		}
		all.Wait()
		if !held.Valid() || !held.Until().Equal(until) {
			t.Errorf("calls without a majority have changed the lock: it is valid until %v (%v), want %v",
				held.Until(), held.Err(), until)
		}
		err := inTime(t, "Unlock", nodeTimeout+soon, func() error { return held.Unlock(ctx) })
		wantNoQuorumOf(t, "Unlock", err, q, 2, 3, 4)
		for _, s := range q.Servers[2:] {
			away.back(s, t)
		}
		wantVoteOf(t, q, m, q.Servers[4], comingBack)
		q.WantFree(t, held.Resource(), 10*time.Second)
	})
}

func TestLockAndDoGiveUpWithoutAMajorityAfterASecondAtLeast(t *testing.T) {
	t.Parallel()
	eachAbsence(t, 5, func(t *testing.T, q *Quorum, away absence) {
		const nodeTimeout = 300 * time.Millisecond
		m := newConnected(t, q, redlock.Config{NodeTimeout: nodeTimeout})
		stranger := q.New(t, redlock.Config{NodeTimeout: nodeTimeout}) // not connected yet
		for _, s := range q.Servers[2:] {
			away.leave(s, t)
		}
		fn := func(context.Context, *redlock.Lock) error {
			t.Error("fn ran without a lock")
			return nil
		}
		for name, call := range map[string]func() error{
			"Lock":              func() error { _, err := m.Lock(t.Context(), q.Resource(t)); return err },
			"Do":                func() error { return m.Do(t.Context(), q.Resource(t), fn) },
			"Lock of a new one": func() error { _, err := stranger.Lock(t.Context(), q.Resource(t)); return err },
		} {
			begun := time.Now()
			// A second, and then the try at hand and the pause before it.
			err := inTime(t, name, 4*time.Second, call)
			if took := time.Since(begun); took < time.Second {
				t.Errorf("%s gave up after %v already", name, took)
			}
			wantNoQuorumOf(t, name, err, q, 2, 3, 4)
		}
		for _, s := range q.Servers[2:] {
			away.back(s, t)
		}
		wantVoteOf(t, q, m, q.Servers[4], comingBack)
	})
}

func TestAttemptsThatAreUsedUpEndALockWithoutAMajority(t *testing.T) {
	eachAbsence(t, 3, func(t *testing.T, q *Quorum, away absence) {
		m := newConnected(t, q, redlock.Config{NodeTimeout: 300 * time.Millisecond})
		for _, s := range q.Servers[1:] {
			away.leave(s, t)
		}
		pauses := 0
		pause := func(int) time.Duration { pauses++; return 0 }
		_, err := m.Lock(t.Context(), q.Resource(t), redlock.WithAttempts(2), redlock.WithBackoff(pause))
		wantNoQuorumOf(t, "Lock", err, q, 1, 2)
		if pauses != 1 {
			t.Errorf("two attempts with %d pauses between them", pauses)
		}
		for _, s := range q.Servers[1:] {
			away.back(s, t)
		}
		wantVoteOf(t, q, m, q.Servers[2], comingBack)
	})
}
