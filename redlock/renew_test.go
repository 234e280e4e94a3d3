package redlock

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestARenewedLockOutlivesItsTTLUntilItIsUnlocked(t *testing.T) {
	for name, take := range map[string]func(r *rig) *Lock{
		"by the option": func(r *rig) *Lock { return r.mustLock(r.Manager, "a", WithAutoRenew()) },
		"by the configuration": func(r *rig) *Lock {
			return r.mustLock(r.manager(Config{TTL: 3 * time.Second, AutoRenew: true}), "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
				lock := take(r)
				passTime(time.Minute)
				if err := lock.Err(); err != nil {
					t.Fatal(err)
				}
				// About every second, and nothing else.
				if n := r.nodes[0].Executed("EVALSHA"); n < 55 || n > 70 {
					t.Errorf("it was renewed %d times in a minute", n)
				}
				if err := lock.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the node beyond the majority has its release, too
				asked := r.nodes[0].Executed("EVALSHA")
				passTime(time.Minute)
				if n := r.nodes[0].Executed("EVALSHA"); n != asked {
					t.Errorf("it was renewed %d times when it was over", n-asked)
				}
				r.mustHave("a", 0)
			})
		})
	}
}

func TestARenewalThatFailsIsRepeatedUntilTheLockEnds(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		passTime(10 * time.Second)
		for _, node := range r.nodes {
			node.FailWith("EVALSHA", "LOADING not yet")
		}
		passTime(lock.Remaining() - 200*time.Millisecond)
		for _, node := range r.nodes {
			node.FailWith("EVALSHA", "")
		}
		passTime(200 * time.Millisecond)
		if err := lock.Err(); err != nil {
			t.Fatalf("no renewal came in time: %v", err)
		}
		for _, node := range r.nodes {
			node.FailWith("EVALSHA", "LOADING not yet")
		}
		until := lock.Until()
		<-lock.Done()
		if now := time.Now(); !now.Equal(until) || !errors.Is(lock.Err(), ErrExpired) {
			t.Errorf("%v, %v after its end", lock.Err(), now.Sub(until))
		}
		for _, node := range r.nodes {
			node.FailWith("EVALSHA", "")
		}
	})
}

func TestARenewedLockThatAMajorityHasLostEndsAtTheNextRenewal(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		r.nodes[0].FlushAll()
		r.nodes[1].FlushAll()
		passTime(1100 * time.Millisecond)
		if !errors.Is(lock.Err(), ErrLost) {
			t.Errorf("got %v", lock.Err())
		}
		r.mustHave("a", 0)
	})
}

func TestAnExtendOfTheCallersPutsARenewalOffForAMinuteAtMost(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		if err := lock.Extend(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		begun := r.nodes[0].Executed("EVALSHA")
		passTime(50 * time.Second)
		if n := r.nodes[0].Executed("EVALSHA") - begun; n != 0 {
			t.Errorf("it was renewed %d times", n)
		}
		passTime(10 * time.Minute)
		if n := r.nodes[0].Executed("EVALSHA") - begun; n < 9 || n > 12 {
			t.Errorf("it was confirmed %d times in eleven minutes", n)
		}
	})
}

func TestARenewedLockEndsAtItsMaxHold(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		begun := time.Now()
		lock := r.mustLock(r.Manager, "a", WithAutoRenew(), WithMaxHold(10*time.Second))
		<-lock.Done()
		if took := time.Since(begun); took != 10*time.Second || !errors.Is(lock.Err(), ErrExpired) {
			t.Errorf("%v after %v", lock.Err(), took)
		}
		synctest.Wait()
		r.mustHave("a", 0)
		if n := r.nodes[0].Executed("EVALSHA"); n > 15 {
			t.Errorf("the node was asked %d times", n)
		}
	})
}

func TestManyRenewedLocksTakeOneGoroutineAndAreSpread(t *testing.T) {
	bubble(t, 3, Config{TTL: 30 * time.Second}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "first", WithAutoRenew())
		before := runtime.NumGoroutine()
		const locks = 300
		for i := range locks {
			if _, err := r.TryLock(t.Context(), string(rune('a'+i%26))+string(rune(i)), WithAutoRenew()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 0 {
			t.Errorf("there are %d goroutines more", more)
		}
		passTime(15 * time.Second)
		for range 30 {
			begun := r.nodes[0].Executed("EVALSHA")
			passTime(time.Second)
			if n := r.nodes[0].Executed("EVALSHA") - begun; n > 2*locks/10 {
				t.Errorf("%d renewals in one second, the mean is %d", n, locks/10)
			}
		}
		if n := len(r.Held()); n != locks+1 {
			t.Errorf("%d locks are held", n)
		}
	})
}

// Renewal is blocked at a random moment, and the nodes' clocks run fast by almost
// as much as DriftFactor allows.
func TestTheFirstHolderKnowsOfItsLossBeforeASecondOneHolds(t *testing.T) {
	cfg := Config{TTL: 300 * time.Millisecond, RetryDelayMin: 4 * time.Millisecond, RetryDelayMax: 8 * time.Millisecond}
	bubble(t, 3, cfg, func(t *testing.T, r *rig) {
		first := r.manager(cfg)
		type blockade struct {
			token string
			ends  chan struct{}
		}
		var blocked atomic.Pointer[blockade]
		for _, node := range r.nodes {
			node.SetClockRate(1.009)
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				if b := blocked.Load(); b != nil && slices.Contains(c.Args, b.token) {
					a.Until = b.ends
				}
				return a
			})
		}
		for range *rounds {
			held := r.mustLock(first, "a", WithAutoRenew())
			passTime(rand.N(300 * time.Millisecond))
			block := &blockade{held.Token(), make(chan struct{})}
			blocked.Store(block)
			next := <-waitFor(t, r.Manager, "a")
			select {
			case <-held.Done():
			default:
				t.Error("Done is open, and another one holds the lock")
			}
			if held.Valid() {
				t.Errorf("it is valid for %v more, and another one holds the lock", held.Remaining())
			}
			blocked.Store(nil)
			close(block.ends)
			if err := next.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestALongRenewalIntervalConfirmsOnceAMinute(t *testing.T) {
	bubble(t, 3, Config{TTL: 72 * time.Hour, RenewInterval: 24 * time.Hour}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithAutoRenew())
		now := time.Now()
		if first := lock.renewal.due.Sub(now); first > confirmEvery {
			t.Errorf("it is confirmed in %v for the first time", first)
		}
		x := &renewal{lock: lock, interval: lock.interval(), confirmed: now}
		past := 0
		for range 1000 {
			if !x.next(now).After(now.Add(confirmEvery / 2)) {
				past++
			}
		}
		if past > 0 {
			t.Errorf("%d of 1000 renewals are due again at once", past)
		}
	})
}
