package redlock

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestExtendKeepsTheLockForItsTTLFromNow(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		passTime(6 * time.Second)
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if got, want := lock.Remaining(), 10*time.Second-102*time.Millisecond; got != want {
			t.Errorf("%v is left, want %v", got, want)
		}
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got, want := lock.Remaining(), time.Minute-602*time.Millisecond; got != want {
			t.Errorf("%v is left, want %v", got, want)
		}
		if lock.TTL() != 10*time.Second {
			t.Errorf("an Extend has changed the TTL to %v", lock.TTL())
		}
		synctest.Wait()
		for _, node := range r.nodes {
			if ttl := node.PTTL("a"); ttl < 59*time.Second {
				t.Errorf("a node keeps the key for %v", ttl)
			}
		}
		passTime(lock.Remaining() - 1)
		if !lock.Valid() {
			t.Error("it ended early")
		}
		passTime(1)
		if err := lock.Err(); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
	})
}

func TestExtendNeverShortens(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		until := lock.Until()
		if err := lock.Extend(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		if !lock.Until().Equal(until) {
			t.Error("Until has moved")
		}
		synctest.Wait()
		if ttl := r.nodes[0].PTTL("a"); ttl < 59*time.Second {
			t.Errorf("the node keeps the key for %v", ttl)
		}
	})
}

func TestAShorterExtendThatIsDeliveredLateDoesNotShortenWhatALongerOneGave(t *testing.T) {
	bubble(t, 1, Config{TTL: 2 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		req := extendRequest("a", lock.Token(), 3*time.Second) // of a copy of the command on its way
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		r.ask(t.Context(), &req, complete, time.Second)
		if ttl := r.nodes[0].PTTL("a"); ttl < 59*time.Second {
			t.Errorf("the node keeps the key for %v", ttl)
		}
	})
}

func TestExtendOfALockThatIsOverIsRefusedWithoutIO(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		expired, released := r.mustLock(r.Manager, "a"), r.mustLock(r.Manager, "b")
		if err := released.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		passTime(5 * time.Second)
		before := len(r.nodes[0].Commands())
		for _, err := range []error{expired.Extend(t.Context(), 0), expired.ExtendBy(t.Context(), 1)} {
			if !errors.Is(err, ErrExpired) {
				t.Errorf("got %v", err)
			}
		}
		if err := released.Extend(t.Context(), 0); !errors.Is(err, ErrReleased) {
			t.Errorf("got %v", err)
		}
		if held, err := expired.IsHeld(t.Context()); held || !errors.Is(err, ErrExpired) {
			t.Errorf("got %v, %v", held, err)
		}
		if after := len(r.nodes[0].Commands()); after != before {
			t.Errorf("%d commands were sent", after-before)
		}
		r.mustHave("a", 0)
	})
}

func TestExtendOfALockThatIsOverSaysSoWithAContextThatHasEndedToo(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 { // both have ended: it must not be chance which one counts
			if err := lock.Extend(ctx, 0); !errors.Is(err, ErrReleased) || !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
	})
}

func TestAQuestionThatAnUnlockOvertakesSaysThatTheLockIsReleased(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, lock *Lock) error{
		"Extend":   func(ctx context.Context, lock *Lock) error { return lock.Extend(ctx, 0) },
		"ExtendBy": func(ctx context.Context, lock *Lock) error { return lock.ExtendBy(ctx, time.Second) },
		"IsHeld":   func(ctx context.Context, lock *Lock) error { _, err := lock.IsHeld(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				lock := r.mustLock(r.Manager, "a")
				for _, node := range r.nodes {
					node.FlushAll() // so that the answers are those that a release leaves
					node.SetDelay(0, 100*time.Millisecond)
				}
				var asked sync.WaitGroup
				asked.Go(func() {
					err := ask(t.Context(), lock)
					if !errors.Is(err, ErrReleased) || errors.Is(err, ErrLost) {
						t.Errorf("got %v", err)
					}
				})
				synctest.Wait()
				asked.Go(func() { lock.Unlock(t.Context()) })
				asked.Wait()
			})
		})
	}
}

func TestAnExtendThatIsAnsweredAfterTheEndRevivesNothing(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second, NodeTimeout: 5 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		passTime(900 * time.Millisecond)
		for _, node := range r.nodes {
			node.SetDelay(0, 200*time.Millisecond)
		}
		end := lock.Until()
		err := lock.Extend(t.Context(), time.Minute)
		if !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		if late := time.Since(end); late > 0 {
			t.Errorf("it returned %v after the end", late)
		}
		passTime(time.Second)
		if lock.Valid() {
			t.Error("the lock lives again")
		}
	})
}

func TestAnExtendWithoutAQuorumChangesNothing(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		until := lock.Until()
		r.nodes[0].Pause()
		r.nodes[1].Pause()
		if err := lock.Extend(t.Context(), time.Minute); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if !lock.Until().Equal(until) || !lock.Valid() {
			t.Error("the lock has changed")
		}
		r.nodes[0].Resume()
		r.nodes[1].Resume()
	})
}

func TestAMajorityThatSaysNotOursEndsTheLock(t *testing.T) {
	ask := map[string]func(*Lock, context.Context) error{
		"Extend": func(l *Lock, ctx context.Context) error { return l.Extend(ctx, 0) },
		"IsHeld": func(l *Lock, ctx context.Context) error { _, err := l.IsHeld(ctx); return err },
	}
	for name, ask := range ask {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				lock := r.mustLock(r.Manager, "a")
				r.nodes[0].Set("a", "thief", 0)
				if err := ask(lock, t.Context()); err != nil {
					t.Errorf("a minority ended it: %v", err)
				}
				r.nodes[1].FlushAll()
				if err := ask(lock, t.Context()); !errors.Is(err, ErrLost) || !errors.Is(err, ErrNotHeld) {
					t.Errorf("got %v", err)
				}
				select {
				case <-lock.Done():
				default:
					t.Error("Done is open")
				}
				if !errors.Is(lock.Err(), ErrLost) {
					t.Errorf("Err is %v", lock.Err())
				}
				synctest.Wait()
				if r.nodes[0].Get("a") != "thief" || r.nodes[1].Exists("a") || r.nodes[2].Exists("a") {
					t.Error("what stood of it was not taken back, or the thief's was")
				}
			})
		})
	}
}

func TestExtendByAddsToWhatIsLeft(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second, Margin: time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		passTime(3 * time.Second)
		left := lock.Remaining()
		if err := lock.ExtendBy(t.Context(), 4*time.Second); err != nil {
			t.Fatal(err)
		}
		got, want := lock.Remaining(), left+4*time.Second
		if got < want || got > want+2*time.Millisecond {
			t.Errorf("%v is left, want %v", got, want)
		}
		for _, d := range []time.Duration{0, -1} {
			if err := lock.ExtendBy(t.Context(), d); !errors.As(err, new(*ConfigError)) {
				t.Errorf("ExtendBy(%v): got %v", d, err)
			}
		}
	})
}

func TestMaxHoldCapsTheLockAndItsKeysGoWithIt(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		start := time.Now()
		lock := r.mustLock(r.Manager, "a", WithMaxHold(15*time.Second))
		for range 3 {
			passTime(4 * time.Second)
			if err := lock.Extend(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if got := lock.Until().Sub(start); got != 15*time.Second {
			t.Errorf("Until is %v after the start", got)
		}
		<-lock.Done()
		synctest.Wait()
		if !errors.Is(lock.Err(), ErrExpired) {
			t.Errorf("got %v", lock.Err())
		}
		r.mustHave("a", 0)
	})
}

func TestExtendsOfOneLockRunOneAfterTheOther(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.SetDelay(10*time.Millisecond, 0)
		}
		start := time.Now()
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if err := lock.Extend(t.Context(), time.Duration(20-i)*time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("five took %v", took)
		}
	})
}

func TestAnExtendNeverRecreatesAKey(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.nodes[1].FlushAll()
		r.nodes[2].FlushAll()
		if err := lock.Extend(t.Context(), 0); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

func TestAScriptFlushIsRecoveredOnceAndUnseen(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.ScriptFlush()
		}
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		for _, node := range r.nodes {
			node.ScriptFlush()
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
		if got := r.nodes[0].Executed("EVAL"); got != 2 {
			t.Errorf("%d scripts were sent in full", got)
		}
	})
}

func TestAnUnlockThatRacesAnExtendWins(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				a.Delay = 10 * time.Millisecond
				return a
			})
		}
		extended := make(chan error, 1)
		go func() { extended <- lock.Extend(t.Context(), 0) }()
		synctest.Wait()
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-extended; !errors.Is(err, ErrReleased) {
			t.Errorf("the extend got %v", err)
		}
		synctest.Wait()
		r.mustHave("a", 0)
	})
}

func TestExtendByMoreThanATTLCanBeIsAnErrorAndChangesNothing(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		until := lock.Until()
		for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 - time.Minute, maxTTL} {
			var config *ConfigError
			if err := lock.ExtendBy(t.Context(), d); !errors.As(err, &config) || config.Field != "d" {
				t.Errorf("%v: got %v", d, err)
			}
		}
		if !lock.Until().Equal(until) {
			t.Error("Until has moved")
		}
	})
}

func TestAnExtendThatAnUnlockOvertakesIsNotSent(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		var executed int
		err := lock.extend(t.Context(), func(time.Time) time.Duration {
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			executed = r.nodes[0].Executed("EVALSHA")
			return time.Hour
		})
		if !errors.Is(err, ErrReleased) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if r.nodes[0].Executed("EVALSHA") != executed {
			t.Error("it was sent: a key whose release was lost would outlive what is owed for it")
		}
	})
}
