package redlock

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestUnlockSaysWhatBecameOfTheLock(t *testing.T) {
	bubble(t, 5, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "deleted")
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("a majority deleted it: %v", err)
		}
		synctest.Wait() // the nodes beyond the majority have answered
		before := len(r.nodes[0].Commands())
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrReleased) || !errors.Is(err, ErrNotHeld) {
			t.Errorf("the second one got %v", err)
		}
		if after := len(r.nodes[0].Commands()); after != before {
			t.Error("the second one asked the nodes")
		}

		lock = r.mustLock(r.Manager, "one gone")
		r.nodes[0].FlushAll()
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("nothing to delete on one node is not \"not held\": %v", err)
		}

		lock = r.mustLock(r.Manager, "stolen")
		for _, node := range r.nodes[:3] {
			node.Set("stolen", "thief", 0)
		}
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrLost) || !errors.Is(err, ErrNotHeld) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if r.nodes[0].Get("stolen") != "thief" || r.nodes[4].Exists("stolen") {
			t.Error("the thief's key is gone, or ours is not")
		}

		lock = r.mustLock(r.Manager, "expired")
		passTime(time.Until(lock.Until()))
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrNotHeld) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		r.mustHave("expired", 0)
	})
}

// The next caller of this manager may win the key between the releases of one
// Unlock: then it releases the older lock, too.
func TestUnlockCountsWhatAnotherReleaseOfTheSameLockHasDeleted(t *testing.T) {
	bubble(t, 5, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		lock := r.mustLock(r.Manager, "a")
		lock.abandon()
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestUnlockOfALockWhoseTimerIsLateSaysThatItHasExpired(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		lock.mu.Lock()
		lock.until = time.Now() // its timer is set for later
		lock.mu.Unlock()
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

func TestAnUnlockWithoutAQuorumCanBeAskedAgain(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[0].Pause()
		r.nodes[1].Pause()
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		if lock.Valid() {
			t.Error("it is over from the first Unlock on")
		}
		r.nodes[0].Resume()
		r.nodes[1].Resume()
		passTime(time.Second)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnlockWorksWithAContextThatHasEnded(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		lock := r.mustLock(r.Manager, "a")
		if err := lock.Unlock(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
		if err := lock.Unlock(ctx); !errors.Is(err, ErrReleased) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}

		lock = r.mustLock(r.Manager, "b")
		for _, node := range r.nodes {
			node.Pause()
		}
		start := time.Now()
		if err := lock.Unlock(ctx); !errors.Is(err, ErrNoQuorum) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 250*time.Millisecond {
			t.Errorf("it took %v, not the node timeout", took)
		}
		for _, node := range r.nodes {
			node.Resume()
		}
	})
}

func TestOfConcurrentUnlocksOneAsksAndTheOthersWaitForIt(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.SetDelay(10*time.Millisecond, 0)
		}
		var first, others atomic.Int32
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				switch err := lock.Unlock(t.Context()); {
				case err == nil:
					first.Add(1)
				case errors.Is(err, ErrReleased):
					others.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		synctest.Wait() // the node beyond the majority too
		if first.Load() != 1 || others.Load() != 4 {
			t.Errorf("%d have unlocked it, and for %d it was released", first.Load(), others.Load())
		}
		if got := r.nodes[0].Executed("EVALSHA"); got != 1 {
			t.Errorf("a node was asked %d times", got)
		}
	})
}

func TestOfConcurrentUnlocksEachMatchesItsOwnContextAlone(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.Pause()
		}
		ended, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- lock.Unlock(ended) }()
		synctest.Wait()
		go func() { second <- lock.Unlock(context.Background()) }()
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, ErrNoQuorum) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := <-second; !errors.Is(err, ErrNoQuorum) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for _, node := range r.nodes {
			node.Resume()
		}
		passTime(time.Second)
	})
}

func TestUnlockMarksTheLockAsOverBeforeItAsks(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.SetDelay(10*time.Millisecond, 0)
		}
		go func() { _ = lock.Unlock(context.Background()) }()
		synctest.Wait()
		if lock.Valid() || !errors.Is(lock.Err(), ErrReleased) {
			t.Errorf("Err is %v while the nodes are asked", lock.Err())
		}
		r.mustHave("a", 3)
		passTime(time.Second)
	})
}

func TestUnlockWhoseAnswersWereLostIsNoLossOfTheLock(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.DropReplies(true)
		}
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		for _, node := range r.nodes {
			node.DropReplies(false)
		}
		passTime(5 * time.Second)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestNilAndForeignLocksAreRefused(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		other := r.manager(Config{})
		lock := r.mustLock(other, "a")
		for _, err := range []error{
			r.Unlock(t.Context(), nil), r.Extend(t.Context(), nil, 0),
			r.Unlock(t.Context(), lock), r.Extend(t.Context(), lock, 0),
		} {
			var config *ConfigError
			if !errors.As(err, &config) || config.Field != "lock" {
				t.Errorf("got %v", err)
			}
		}
		if !lock.Valid() {
			t.Error("the lock has changed")
		}
	})
}
