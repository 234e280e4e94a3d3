package integration

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// holdReleases keeps releases from the nodes.
func (e *edgeBed) holdReleases(nodes ...int) {
	for _, i := range nodes {
		e.proxies[i].Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer && calls(m.Args, scripts.Release) {
				return proxy.Hold
			}
			return proxy.Pass
		})
	}
}

// inUse is a given token of a lock that was unlocked, where node 2 has not
// answered the release.
func inUse(t *testing.T, e *edgeBed) (resource string) {
	t.Helper()
	lock := e.mustTake(t, given)
	e.holdReleases(2)
	if err := lock.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	return lock.Resource()
}

func TestTryLockWithATokenWhoseReleaseANodeHasNotAnsweredIsNoQuorumAtOnce(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := inUse(t, e)
		asked := e.sent(0, "EVALSHA")
		took := timed(func() {
			_, err := e.m.TryLock(t.Context(), resource, given)
			wantMatch(t, err, redlock.ErrNoQuorum)
			wantNoMatch(t, err, redlock.ErrTaken)
		})
		if took > slow.NodeTimeout/2 {
			t.Errorf("it waited for %v", took)
		}
		_, err := e.m.TryLock(t.Context(), e.Resource(t), redlock.WithToken("another"))
		if err != nil {
			t.Errorf("another token: %v", err)
		}
		if n := e.sent(0, "EVALSHA") - asked; n != 1 { // the other one's
			t.Errorf("node 0 was sent %d scripts", n)
		}
	})
}

func TestLockWithATokenWaitsUntilEveryNodeHasAnsweredItsRelease(t *testing.T) {
	calls := map[string]func(ctx context.Context, e *edgeBed, resource string) error{
		"Lock": func(ctx context.Context, e *edgeBed, resource string) error {
			lock, err := e.m.Lock(ctx, resource, given)
			if err == nil {
				err = lock.Unlock(ctx)
			}
			return err
		},
		"Do": func(ctx context.Context, e *edgeBed, resource string) error {
			return e.m.Do(ctx, resource, func(context.Context, *redlock.Lock) error { return nil }, given)
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
				resource := inUse(t, e)
				asked := e.sent(0, "EVALSHA")
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				err := call(ctx, e, resource)
				wantMatch(t, err, context.DeadlineExceeded)
				wantNoMatch(t, err, redlock.ErrTaken, redlock.ErrNoQuorum)
				if n := e.sent(0, "EVALSHA") - asked; n != 0 {
					t.Errorf("node 0 was sent %d scripts", n)
				}
				defer time.AfterFunc(100*time.Millisecond, func() { e.mend(t) }).Stop()
				ctx, cancel = context.WithTimeout(t.Context(), slow.TTL/2)
				defer cancel()
				if err := call(ctx, e, resource); err != nil {
					t.Errorf("when node 2 has answered: %v", err)
				}
			})
		})
	}
}

func TestATokenThatANodeHasNotAnsweredIsUsedAgainWhenItsTTLHasPassed(t *testing.T) {
	t.Parallel()
	cfg := redlock.Config{NodeTimeout: time.Second, TTL: 4 * time.Second}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.holdCommands("", 2) // the acquire too: its vote is unknown
		took := timed(func() {
			for range 2 {
				lock, err := e.m.Lock(t.Context(), resource, given)
				if err != nil {
					t.Fatal(err)
				}
				if err := lock.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
		if took < cfg.TTL || took > 3*cfg.TTL {
			t.Errorf("it took %v, with a TTL of %v", took, cfg.TTL)
		}
	})
}

// Within one Lock, too, a lost try has to be settled before the next: node 0
// grants it and does not answer the release.
func TestLockWithATokenDoesNotTryAgainBeforeTheLastTryIsSettled(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.takeOn(t, resource, "someone", 4*time.Second, 1, 2)
		e.holdReleases(0)
		var tried atomic.Int64
		defer time.AfterFunc(1500*time.Millisecond, func() {
			tried.Store(int64(e.sent(1, "EVALSHA")))
			e.mend(t)
		}).Stop()
		ctx, cancel := context.WithTimeout(t.Context(), slow.TTL/2)
		defer cancel()
		lock, err := e.m.Lock(ctx, resource, given)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.sent(1, "EVALSHA"); tried.Load() != 1 || n < 2 {
			t.Errorf("it tried %d times before node 0 had answered, and %d times in all", tried.Load(), n)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestATokenThatEveryNodeHasRefusedIsTriedAgainAtOnce(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		q.Take(t, 3, resource, "someone", 2*time.Second)
		for range 3 {
			_, err := m.TryLock(t.Context(), resource, given)
			wantMatch(t, err, redlock.ErrTaken)
			wantNoMatch(t, err, redlock.ErrNoQuorum)
		}
		lock, err := m.Lock(t.Context(), resource, given) // waits for the holder
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestANodeThatWasNeverSentATokenDoesNotStandInTheWayOfItsNextUse(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		q.Proxies(t)[2].Down()
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		for range 3 {
			lock, err := m.TryLock(t.Context(), resource, given)
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestATokenThatThisManagerHoldsIsAlreadyHeldAndAsksNobody(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t, given)
		e.quieten(t)
		asked := e.sentAny()
		_, err := e.m.TryLock(t.Context(), lock.Resource(), given)
		wantMatch(t, err, redlock.ErrAlreadyHeld, redlock.ErrTaken)
		_, err = e.m.Lock(t.Context(), lock.Resource(), given)
		wantMatch(t, err, redlock.ErrAlreadyHeld)
		_, err = doAsLock(e.m)(t.Context(), lock.Resource(), given)
		wantMatch(t, err, redlock.ErrAlreadyHeld)
		if n := e.sentAny() - asked; n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Errorf("the lock is not held any more: %v", err)
		}
		if _, err := e.m.TryLock(t.Context(), e.Resource(t), given); err != nil {
			t.Errorf("of another resource: %v", err)
		}
	})
}

// A random token's release is asked for until it is answered.
func TestTheReleaseOfAGivenTokenIsNotRepeatedAndItsKeyLapses(t *testing.T) {
	t.Parallel()
	cfg := redlock.Config{NodeTimeout: patience, TTL: 6 * time.Second}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		given, random := e.mustTake(t, given), e.mustTake(t)
		e.cutOff(2)
		for _, lock := range []*redlock.Lock{given, random} {
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		e.mend(t)
		e.WantFree(t, random.Resource(), 3*time.Second)
		time.Sleep(time.Second)
		if values := e.Values(t, given.Resource()); values[2] != "given" {
			t.Errorf("the servers keep %q", values)
		}
		e.WantFree(t, given.Resource(), cfg.TTL+2*time.Second)
	})
}

func TestTheReleaseOfAGivenTokenWithoutExpiryIsAskedForUntilItIsAnswered(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t, given, redlock.WithNoExpiry())
		e.cutOff(2)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.mend(t)
		e.WantFree(t, lock.Resource(), 10*time.Second)
	})
}
