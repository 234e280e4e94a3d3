package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// An acquire is waited for until the lock would be over: no longer.
func TestANodeTimeoutAboveTheTTLIsAccepted(t *testing.T) {
	edgeRows(t, 3, redlock.Config{NodeTimeout: time.Minute, TTL: 3 * time.Second}, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		e.holdCommands("SET", 0, 1, 2)
		took := timed(func() {
			_, err := e.m.TryLock(t.Context(), e.Resource(t))
			wantMatch(t, err, redlock.ErrNoQuorum)
		})
		if took > 3*time.Second+soon {
			t.Errorf("it took %v", took)
		}
	})
}

func TestMaxHoldCapsTheLockAndCutsAnExtendBeyondIt(t *testing.T) {
	edgeRows(t, 3, redlock.Config{NodeTimeout: patience, TTL: time.Minute}, func(t *testing.T, e *edgeBed) {
		const most = 3 * time.Second
		resource := e.Resource(t)
		before := time.Now()
		lock, err := e.m.TryLock(t.Context(), resource, redlock.WithMaxHold(most))
		after := time.Now()
		if err != nil {
			t.Fatal(err)
		}
		for _, extend := range []func() error{
			func() error { return nil },
			func() error { return lock.Extend(t.Context(), 0) },
			func() error { return lock.Extend(t.Context(), time.Hour) },
			func() error { return lock.ExtendBy(t.Context(), time.Hour) },
		} {
			if err := extend(); err != nil {
				t.Errorf("an Extend beyond the cap: %v", err)
			}
			if until := lock.Until(); until.Before(before.Add(most)) || until.After(after.Add(most)) {
				t.Errorf("it is trusted until %v after its attempt began", until.Sub(before))
			}
		}
		awaitEnd(t, lock)
		wantOver(t, lock, redlock.ErrExpired)
		e.WantFree(t, resource, 10*time.Second)
	})
}

// The cap counts from the winning attempt, not from the call.
func TestMaxHoldCountsFromTheStartOfTheWinningAttempt(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		const most = 20 * time.Second
		resource := q.Resource(t)
		begun := time.Now()
		q.Take(t, 3, resource, "someone", 2*time.Second)
		lock, err := q.New(t, redlock.Config{TTL: time.Minute}).Lock(t.Context(), resource, redlock.WithMaxHold(most))
		if err != nil {
			t.Fatal(err)
		}
		if counted := lock.Until().Sub(begun); counted < most+time.Second {
			t.Errorf("it ends %v after the call, which waited", counted)
		}
	})
}

func TestDoRenewsNoFurtherThanMaxHold(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		const most = 2 * time.Second
		m, resource := q.New(t, redlock.Config{TTL: 3 * time.Second}), q.Resource(t)
		err := m.Do(t.Context(), resource, func(ctx context.Context, lock *redlock.Lock) error {
			<-ctx.Done()
			wantMatch(t, context.Cause(ctx), redlock.ErrExpired)
			return nil
		}, redlock.WithMaxHold(most))
		wantMatch(t, err, redlock.ErrExpired)
		q.WantFree(t, resource, 10*time.Second)
	})
}

// Renewals are jittered by a tenth, and a busy machine makes the time between them
// longer: the shortest tells the alternatives apart.
func TestTheRenewalIntervalIsAThirdOfTheTTLOrHalfOfTheValidityIfThatIsLess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  redlock.Config
		want time.Duration
	}{
		"a third of the TTL": {redlock.Config{TTL: 3 * time.Second}, time.Second},
		// Of 6 s the drift takes 62 ms and the margin 4 s.
		"half of the validity": {redlock.Config{TTL: 6 * time.Second, Margin: 4 * time.Second}, 969 * time.Millisecond},
		"as it is set": {
			redlock.Config{TTL: 3 * time.Second, RenewInterval: 1400 * time.Millisecond}, 1400 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.NodeTimeout = patience
			edgeRows(t, 3, c.cfg, func(t *testing.T, e *edgeBed) {
				var gaps []time.Duration
				stop := e.clockScripts()
				err := e.m.Do(t.Context(), e.Resource(t), func(ctx context.Context, lock *redlock.Lock) error {
					select {
					case <-time.After(6 * time.Second):
					case <-ctx.Done():
					}
					gaps = stop()
					return lock.Err()
				})
				if err != nil || len(gaps) == 0 {
					t.Fatalf("%d renewals, %v", len(gaps), err)
				}
				if least := slices.Min(gaps); least < c.want*85/100 || least > c.want+300*time.Millisecond {
					t.Errorf("the interval is %v, want about %v: %v", least, c.want, gaps)
				}
			})
		})
	}
}

// clockScripts measures the time between the scripts that node 0 is sent, until
// stop is called.
func (e *edgeBed) clockScripts() (stop func() []time.Duration) {
	var mu sync.Mutex
	var gaps []time.Duration
	var last time.Time
	e.proxies[0].Handle(func(m proxy.Message) proxy.Action {
		if m.Direction == proxy.ToServer && m.Name == "EVALSHA" {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			if !last.IsZero() {
				gaps = append(gaps, now.Sub(last))
			}
			last = now
		}
		return proxy.Pass
	})
	return func() []time.Duration {
		e.proxies[0].Handle(nil)
		mu.Lock()
		defer mu.Unlock()
		return gaps
	}
}

func TestARenewalIntervalAboveHalfOfTheValidityIsRefused(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		// Of 10 s the drift takes 102 ms: half of what is left is 4 s.
		cfg := redlock.Config{Nodes: e.Nodes, TTL: 10 * time.Second, Margin: 1898 * time.Millisecond}
		cfg.RenewInterval = 4001 * time.Millisecond
		_, err := redlock.New(cfg)
		wantConfigError(t, err, "renew_interval")
		cfg.RenewInterval = 4 * time.Second
		m := e.New(t, cfg)
		_, err = doAsLock(m)(t.Context(), e.Resource(t), redlock.WithTTL(9999*time.Millisecond))
		wantConfigError(t, err, "renew_interval")
		if n := e.sentAny(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		err = m.Do(t.Context(), e.Resource(t), func(context.Context, *redlock.Lock) error { return nil })
		if err != nil {
			t.Error(err)
		}
	})
}

func TestFencesAndTheRestartGuardAreRefusedUntilTheyAreBuilt(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		_, err := e.m.TryLock(t.Context(), e.Resource(t), redlock.WithFence())
		wantConfigError(t, err, "WithFence")
		_, err = e.m.Lock(t.Context(), e.Resource(t), redlock.WithFence())
		wantConfigError(t, err, "WithFence")
		_, err = doAsLock(e.m)(t.Context(), e.Resource(t), redlock.WithFence())
		wantConfigError(t, err, "WithFence")
		_, err = redlock.New(redlock.Config{Nodes: e.Nodes, RestartGuard: time.Minute})
		wantConfigError(t, err, "restart_guard")
		if n := e.sentAny(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
	})
}
