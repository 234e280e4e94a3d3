package redlock

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var errWork = errors.New("work failed")

func TestDoReleasesWhateverItsFunctionDoes(t *testing.T) {
	ends := map[string]struct {
		fn   func(context.Context, *Lock) error
		want error
	}{
		"returns":          {func(context.Context, *Lock) error { return nil }, nil},
		"fails":            {func(context.Context, *Lock) error { return errWork }, errWork},
		"unlocks itself":   {func(ctx context.Context, l *Lock) error { return l.Unlock(ctx) }, nil},
		"outlives its ctx": {func(ctx context.Context, l *Lock) error { <-ctx.Done(); return nil }, nil},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := r.Do(ctx, "a", end.fn); err != end.want {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				r.mustHave("a", 0)
			})
		})
	}
	t.Run("panics", func(t *testing.T) {
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			func() {
				defer func() {
					if recover() != "oh" {
						t.Error("the panic was swallowed")
					}
				}()
				_ = r.Do(t.Context(), "a", func(context.Context, *Lock) error { panic("oh") })
			}()
			synctest.Wait()
			r.mustHave("a", 0)
		})
	})
	t.Run("ends its goroutine", func(t *testing.T) {
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = r.Do(t.Context(), "a", func(context.Context, *Lock) error { runtime.Goexit(); return nil })
			}()
			<-done
			synctest.Wait()
			r.mustHave("a", 0)
		})
	})
}

func TestDoRenewsUntilItsFunctionReturns(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := r.Do(ctx, "a", func(ctx context.Context, lock *Lock) error {
			for range 60 { // ctx ends in the middle of it
				passTime(time.Second)
				if !lock.Valid() {
					t.Fatal("the lock is over")
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestTheContextOfDoEndsWithTheLock(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		lose := func(ctx context.Context, lock *Lock) error {
			for _, node := range r.nodes {
				node.Blackhole(true)
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrExpired) {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
			for _, node := range r.nodes {
				node.Blackhole(false)
			}
			return errWork
		}
		if err := r.Do(t.Context(), "a", lose); !errors.Is(err, errWork) || !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		passTime(10 * time.Second)
		if err := r.Do(t.Context(), "a", lose, WithIgnoreReleaseError()); err != errWork {
			t.Errorf("got %v", err)
		}
		passTime(10 * time.Second)
	})
}

func TestDoGoesOnWhereAMajorityIsSilentForHalfATTL(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		err := r.Do(t.Context(), "a", func(ctx context.Context, lock *Lock) error {
			for range 5 {
				r.nodes[0].Pause()
				r.nodes[1].Pause()
				passTime(1500 * time.Millisecond)
				r.nodes[0].Resume()
				r.nodes[1].Resume()
				passTime(2 * time.Second)
			}
			return lock.Err()
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestDoWaitsForTheHolderAndGivesUpAsLockDoes(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "a", WithTTL(2*time.Second))
		ran := false
		if err := r.Do(t.Context(), "a", func(context.Context, *Lock) error { ran = true; return nil }); err != nil || !ran {
			t.Errorf("got %v", err)
		}
		r.nodes[0].Kill()
		r.nodes[1].Kill()
		err := r.Do(t.Context(), "a", func(context.Context, *Lock) error { t.Error("it ran"); return nil })
		if !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		r.nodes[0].Start()
		r.nodes[1].Start()
		passTime(time.Second)
		if err := r.Do(t.Context(), "a", nil); !errors.As(err, new(*ConfigError)) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAPauseFunctionThatPanicsKeepsCloseFromNothing(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].Set("a", "somebody", 0)
		func() {
			defer func() { _ = recover() }()
			_ = r.Do(t.Context(), "a", func(context.Context, *Lock) error { return nil },
				WithBackoff(func(int) time.Duration { panic("oh") }))
		}()
		if calls := r.calls.Swap(0); calls != 0 {
			t.Errorf("%d calls are counted that have ended: Close would wait for them", calls)
		}
	})
}
