package integration

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// The race detector looks on.
func TestALockIsSafeForConcurrentUse(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{TTL: time.Minute})
		lock := mustTry(t, m, q.Resource(t))
		token := lock.Token()
		var changing, looking sync.WaitGroup
		var over atomic.Bool
		for i := range 4 {
			changing.Go(func() {
				for j := range 25 {
					if err := lock.Extend(t.Context(), time.Duration(60+30*i+j)*time.Second); err != nil {
						t.Errorf("Extend: %v", err)
					}
					if err := lock.ExtendBy(t.Context(), time.Second); err != nil {
						t.Errorf("ExtendBy: %v", err)
					}
					if held, err := lock.IsHeld(t.Context()); !held || err != nil {
						t.Errorf("it is held: %v, %v", held, err)
					}
				}
			})
			looking.Go(func() {
				ctx := lock.Context(t.Context())
				for until := lock.Until(); !over.Load(); {
					now := lock.Until()
					if now.Before(until) {
						t.Errorf("its end has moved back from %v to %v", until, now)
					}
					until = now
					time.Sleep(time.Millisecond) // spinning would starve what is looked at
					if !lock.Valid() || lock.Remaining() <= 0 || lock.Err() != nil || isDone(lock.Done()) ||
						ctx.Err() != nil || lock.Token() != token || lock.TTL() != time.Minute {
						t.Errorf("it has ended: %v", lock.Err())
					}
				}
			})
		}
		changing.Wait()
		over.Store(true)
		looking.Wait()
		mustUnlock(t, lock)
	})
}

func TestOfConcurrentUnlocksOneReleasesAndAllReturn(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		for range 20 {
			lock := mustTry(t, m, resource)
			errs := sideBySide(t, 8, func(int) error { return lock.Unlock(t.Context()) })
			released := 0
			for _, err := range errs {
				if err == nil {
					released++
				} else {
					wantMatch(t, err, redlock.ErrReleased)
				}
			}
			if released != 1 {
				t.Errorf("%d of 8 Unlocks have released it: %v", released, errs)
			}
			q.WantFree(t, resource, 5*time.Second)
		}
	})
}

func TestALockCanBeUnlockedWhileOthersExtendIt(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		for range 20 {
			lock := mustTry(t, m, resource)
			ways := []func(ctx context.Context) error{
				lock.Unlock,
				func(ctx context.Context) error { return lock.Extend(ctx, time.Minute) },
				func(ctx context.Context) error { return lock.ExtendBy(ctx, time.Minute) },
				func(ctx context.Context) error { _, err := lock.IsHeld(ctx); return err },
			}
			errs := sideBySide(t, len(ways), func(i int) error { return ways[i](t.Context()) })
			if errs[0] != nil {
				t.Errorf("Unlock: %v", errs[0])
			}
			for _, err := range errs[1:] {
				if err != nil && !errors.Is(err, redlock.ErrReleased) {
					t.Errorf("got %v", err)
				}
			}
			if lock.Valid() || !errors.Is(lock.Err(), redlock.ErrReleased) {
				t.Errorf("after Unlock it is valid: %v, %v", lock.Valid(), lock.Err())
			}
			q.WantFree(t, resource, 5*time.Second)
		}
	})
}
