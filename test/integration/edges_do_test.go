package integration

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestDoReleasesAndHandsOnHowItsFunctionHasEnded(t *testing.T) {
	for name, end := range map[string]struct {
		fn   func(ctx context.Context, lock *redlock.Lock) error
		want error
	}{
		"it returns":           {func(context.Context, *redlock.Lock) error { return nil }, nil},
		"it fails":             {func(context.Context, *redlock.Lock) error { return errWork }, errWork},
		"it panics":            {func(context.Context, *redlock.Lock) error { panic("oh") }, nil},
		"it ends by Goexit":    {func(context.Context, *redlock.Lock) error { runtime.Goexit(); return nil }, nil},
		"it unlocks by itself": {func(ctx context.Context, lock *redlock.Lock) error { return lock.Unlock(ctx) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
				var err error
				var panicked any
				done := make(chan struct{})
				go func() { // Goexit ends it
					defer close(done)
					defer func() { panicked = recover() }()
					err = m.Do(t.Context(), resource, func(ctx context.Context, lock *redlock.Lock) error {
						q.WantEverywhere(t, resource, lock.Token(), 10*time.Second)
						return end.fn(ctx, lock)
					})
				}()
				<-done
				if !errors.Is(err, end.want) {
					t.Errorf("got %v, want %v", err, end.want)
				}
				if name == "it panics" != (panicked != nil) {
					t.Errorf("the panic is %v", panicked)
				}
				q.WantFree(t, resource, 10*time.Second)
			})
		})
	}
}

func TestDoRenewsUntilItsFunctionReturnsAlsoWhenItsContextHasEnded(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		const ttl = 3 * time.Second
		m, resource := q.New(t, redlock.Config{TTL: ttl}), q.Resource(t)
		ctx, cancel := context.WithCancel(t.Context())
		err := m.Do(ctx, resource, func(ctx context.Context, lock *redlock.Lock) error {
			cancel()
			<-ctx.Done()
			select {
			case <-time.After(2 * ttl):
			case <-lock.Done():
			}
			q.WantEverywhere(t, resource, lock.Token(), time.Second)
			return lock.Err()
		})
		if err != nil {
			t.Error(err)
		}
		q.WantFree(t, resource, ttl/2) // what is left of the TTL is more
	})
}

// spoiled are the ways in which the release at the end of a Do can fail, and what
// it reports then.
var spoiled = map[string]struct {
	spoil func(t *testing.T, e *edgeBed, lock *redlock.Lock)
	want  error
}{
	"expired": {func(t *testing.T, e *edgeBed, lock *redlock.Lock) {
		e.cutOff(0, 1, 2)
		awaitEnd(t, lock)
	}, redlock.ErrExpired},
	"lost": {func(t *testing.T, e *edgeBed, lock *redlock.Lock) {
		e.takeOn(t, lock.Resource(), "thief", time.Minute, 0, 1)
	}, redlock.ErrLost},
	"without a quorum": {func(_ *testing.T, e *edgeBed, _ *redlock.Lock) {
		e.cutOff(0, 1)
	}, redlock.ErrNoQuorum},
}

// doSpoiled runs Do with a release that fails, and gives its error to judge.
func doSpoiled(t *testing.T, fails error, judge func(t *testing.T, err, want error), opts ...redlock.LockOption) {
	t.Helper()
	for name, s := range spoiled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edgeRows(t, 3, lapsing, func(t *testing.T, e *edgeBed) {
				err := e.m.Do(t.Context(), e.Resource(t), func(_ context.Context, lock *redlock.Lock) error {
					e.WantEverywhere(t, lock.Resource(), lock.Token(), 10*time.Second)
					s.spoil(t, e, lock)
					return fails
				}, opts...)
				judge(t, err, s.want)
			})
		})
	}
}

func TestDoReportsAReleaseThatFails(t *testing.T) {
	t.Parallel()
	doSpoiled(t, nil, func(t *testing.T, err, want error) { wantMatch(t, err, want) })
}

func TestDoJoinsTheErrorOfTheReleaseToThatOfItsFunction(t *testing.T) {
	t.Parallel()
	doSpoiled(t, errWork, func(t *testing.T, err, want error) {
		wantMatch(t, err, errWork, want)
		var joined interface{ Unwrap() []error }
		if !errors.As(err, &joined) || joined.Unwrap()[0] != errWork {
			t.Errorf("the first error of %v is not that of the function", err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), errWork.Error()) {
			t.Errorf("something else comes first: %v", err)
		}
	})
}

func TestDoThatIgnoresReleaseErrorsDropsThem(t *testing.T) {
	t.Parallel()
	t.Run("after success", func(t *testing.T) {
		t.Parallel()
		doSpoiled(t, nil, func(t *testing.T, err, _ error) {
			if err != nil {
				t.Errorf("got %v", err)
			}
		}, redlock.WithIgnoreReleaseError())
	})
	t.Run("after an error", func(t *testing.T) {
		t.Parallel()
		doSpoiled(t, errWork, func(t *testing.T, err, _ error) {
			if err != errWork {
				t.Errorf("got %v", err)
			}
		}, redlock.WithIgnoreReleaseError())
	})
}

func TestALockWithoutExpiryIsNotExtendedByDo(t *testing.T) {
	cfg := redlock.Config{TTL: time.Minute, NodeTimeout: patience, RenewInterval: 50 * time.Millisecond}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		err := e.m.Do(t.Context(), resource, func(ctx context.Context, lock *redlock.Lock) error {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				t.Errorf("it is over: %v", context.Cause(ctx))
			}
			for i, s := range e.Servers {
				if ttl := s.Client.PTTL(ctx, resource).Val(); ttl != -1 {
					t.Errorf("node %d keeps it for %v", i, ttl)
				}
				if n := e.sent(i, "EVALSHA"); n < 5 { // the PERSIST, and what confirms the lock
					t.Errorf("node %d was sent %d scripts", i, n)
				}
			}
			wantMatch(t, lock.Extend(ctx, 0), redlock.ErrNoExpiry)
			return nil
		}, redlock.WithNoExpiry())
		if err != nil {
			t.Error(err)
		}
		e.WantFree(t, resource, 10*time.Second)
	})
}

func TestRenewalAndALimitOfTimeAreRefusedForALockWithoutExpiry(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		for field, option := range map[string]redlock.LockOption{
			"ttl":         redlock.WithTTL(time.Minute),
			"WithMaxHold": redlock.WithMaxHold(time.Minute),
			"auto_renew":  redlock.WithAutoRenew(),
		} {
			_, err := e.m.TryLock(t.Context(), e.Resource(t), redlock.WithNoExpiry(), option)
			wantConfigError(t, err, field)
			_, err = e.m.Lock(t.Context(), e.Resource(t), option, redlock.WithNoExpiry())
			wantConfigError(t, err, field)
			_, err = doAsLock(e.m)(t.Context(), e.Resource(t), redlock.WithNoExpiry(), option)
			wantConfigError(t, err, field)
		}
		if n := e.sentAny(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
	})
}
