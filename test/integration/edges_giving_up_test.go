package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// wantBound fails unless a call that nobody answers took about as long as d.
func wantBound(t *testing.T, took, d time.Duration) {
	t.Helper()
	if took < d || took > d+soon {
		t.Errorf("it took %v, want %v and little more", took, d)
	}
}

func TestACallThatNobodyAnswersEndsAfterANodeTimeout(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, e *edgeBed, lock *redlock.Lock) error{
		"TryLock": func(ctx context.Context, e *edgeBed, _ *redlock.Lock) error {
			_, err := e.m.TryLock(ctx, "never taken")
			return err
		},
		"Extend": func(ctx context.Context, _ *edgeBed, lock *redlock.Lock) error {
			return lock.Extend(ctx, 0)
		},
		"Unlock": func(ctx context.Context, _ *edgeBed, lock *redlock.Lock) error {
			return lock.Unlock(ctx)
		},
		"IsLocked": func(ctx context.Context, e *edgeBed, lock *redlock.Lock) error {
			_, err := e.m.IsLocked(ctx, lock.Resource())
			return err
		},
		"IsHeld": func(ctx context.Context, _ *edgeBed, lock *redlock.Lock) error {
			_, err := lock.IsHeld(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
				lock := e.mustTake(t)
				e.holdReplies("", 0, 1, 2)
				wantBound(t, timed(func() {
					err := call(t.Context(), e, lock)
					wantMatch(t, err, redlock.ErrNoQuorum)
					wantNoMatch(t, err, redlock.ErrTaken, redlock.ErrNotHeld)
				}), nodeTimeout)
			})
		})
	}
}

func TestALockWithoutExpiryHasANodeTimeoutForEachOfItsTwoRoundTrips(t *testing.T) {
	t.Run("one that is answered late is won", func(t *testing.T) {
		t.Parallel()
		const late = 2 * time.Second // below a node timeout, and twice that above it
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			for i := range e.proxies {
				e.delayReplies(i, late)
			}
			took := timed(func() {
				if _, err := e.m.TryLock(t.Context(), e.Resource(t), redlock.WithNoExpiry()); err != nil {
					t.Error(err)
				}
			})
			wantBound(t, took, 2*late)
		})
	})
	t.Run("one that is not persisted ends", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.holdCommands("EVALSHA", 0, 1, 2)
			took := timed(func() {
				_, err := e.m.TryLock(t.Context(), resource, redlock.WithNoExpiry())
				wantMatch(t, err, redlock.ErrNoQuorum)
			})
			wantBound(t, took, nodeTimeout) // the first of the two is answered at once
			e.mend(t)
			e.WantFree(t, resource, 10*time.Second)
		})
	})
}

func TestACallThatFindsItsScriptsForgottenEndsWithinTwoNodeTimeouts(t *testing.T) {
	t.Parallel()
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		e := newEdgeBed(t, q, brief, nil)
		lock := e.mustTake(t)
		for _, s := range e.Servers {
			if err := s.Client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		e.holdCommands("EVAL", 0, 1, 2)
		took := timed(func() { wantMatch(t, lock.Extend(t.Context(), 0), redlock.ErrNoQuorum) })
		if took > 2*nodeTimeout+soon {
			t.Errorf("it took %v", took)
		}
		for i := range e.proxies {
			if n := e.sent(i, "EVAL"); n != 1 {
				t.Errorf("node %d was sent the script %d times in full", i, n)
			}
		}
	})
}

// gaveUp fails unless err is that of a Lock that has found no quorum and has no
// deadline.
func gaveUp(t *testing.T, err error) {
	t.Helper()
	wantMatch(t, err, redlock.ErrNoQuorum)
	wantNoMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
}

func TestLockGivesUpAfterThreeTriesWithoutAQuorumAndASecond(t *testing.T) {
	t.Run("three tries take more than a second", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			var made int
			wantBound(t, timed(func() {
				_, err := e.m.Lock(t.Context(), e.Resource(t), pauses(1100*time.Millisecond, &made))
				gaveUp(t, err)
			}), 2*1100*time.Millisecond)
			if made != 2 {
				t.Errorf("it made %d pauses", made)
			}
		})
	})
	t.Run("a second takes more than three tries", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			var made int
			wantBound(t, timed(func() {
				_, err := e.m.Lock(t.Context(), e.Resource(t), pauses(50*time.Millisecond, &made))
				gaveUp(t, err)
			}), time.Second)
			if made <= 2 {
				t.Errorf("it made %d pauses", made)
			}
		})
	})
	t.Run("with the default pauses", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			wantBound(t, timed(func() {
				_, err := e.m.Lock(t.Context(), e.Resource(t))
				gaveUp(t, err)
			}), time.Second)
		})
	})
	t.Run("Do does so too and does not run its function", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			wantBound(t, timed(func() {
				err := e.m.Do(t.Context(), e.Resource(t), func(context.Context, *redlock.Lock) error {
					t.Error("it ran")
					return nil
				})
				gaveUp(t, err)
			}), time.Second)
		})
	})
}

func TestLockGoesOnWithoutAQuorumUntilASecondHasPassed(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		e.cutOff(0, 1)
		mended := false
		lock, err := e.m.Lock(t.Context(), e.Resource(t), atPauses(map[int]func(){
			5: func() { e.mend(t); e.connect(t); mended = true },
		}))
		if err == nil {
			err = lock.Unlock(t.Context())
		}
		if err != nil || !mended {
			t.Errorf("got %v", err)
		}
	})
}

func TestOnlyTheLastThreeTriesMakeLockGiveUp(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 3, resource, "someone", time.Minute)
		e.cutOff(0, 1)
		made := 0
		count := func() { made++ }
		_, err := e.m.Lock(t.Context(), resource, atPauses(map[int]func(){
			1: func() { time.Sleep(1100 * time.Millisecond); made++ },
			2: func() { e.mend(t); e.connect(t); made++ }, // the third try is refused: a quorum
			3: func() { e.cutOff(0, 1); made++ },
			4: count, 5: count, 6: count,
		}))
		wantMatch(t, err, redlock.ErrNoQuorum)
		if made != 5 {
			t.Errorf("it made %d pauses", made)
		}
	})
}

func TestAttemptsThatAreUsedUpEndALockThatFindsNoQuorum(t *testing.T) {
	t.Run("one is made and nothing is waited for", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			var made int
			took := timed(func() {
				_, err := e.m.Lock(t.Context(), e.Resource(t), redlock.WithAttempts(1), pauses(20*time.Second, &made))
				wantMatch(t, err, redlock.ErrNoQuorum)
			})
			if made != 0 || took > 10*time.Second {
				t.Errorf("it made %d pauses and took %v", made, took)
			}
		})
	})
	t.Run("two are made", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			var made int
			_, err := e.m.Lock(t.Context(), e.Resource(t), redlock.WithAttempts(2), pauses(0, &made))
			wantMatch(t, err, redlock.ErrNoQuorum)
			if made != 1 {
				t.Errorf("it made %d pauses", made)
			}
		})
	})
	t.Run("more than are needed to give up are not", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			var made int
			_, err := e.m.Lock(t.Context(), e.Resource(t), redlock.WithAttempts(500), pauses(100*time.Millisecond, &made))
			wantMatch(t, err, redlock.ErrNoQuorum)
			if made < 2 || made > 100 {
				t.Errorf("it made %d pauses", made)
			}
		})
	})
}
