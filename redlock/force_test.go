package redlock

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestForceUnlockDropsALockWhoeverHoldsIt(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		for name, ttl := range map[string]time.Duration{"that expires": time.Minute, "that does not": 0} {
			keptFor(r, ttl, ttl, ttl)
			if err := r.ForceUnlock(t.Context(), "a"); err != nil {
				t.Errorf("a lock %s: %v", name, err)
			}
			r.mustHave("a", 0)
			r.mustLock(r.Manager, "a").Unlock(t.Context())
			synctest.Wait()
		}
	})
}

func TestForceUnlockOfAFreeResourceIsNoError(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
}

func TestForceUnlockDropsEveryTokenThatANodeKeepsAndNothingElse(t *testing.T) {
	onBoth(t, 4, func(t *testing.T, r *rig) {
		for i, token := range []string{"one", "another", "one", "with a fence\x1f7"} {
			r.nodes[i].Set("a", token, time.Minute)
		}
		r.nodes[0].Set("ab", "one", time.Minute)
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		r.mustHave("a", 0)
		r.mustHave("ab", 1)
	})
}

func TestForceUnlockHitsNoHolderThatComesAfterItHasLooked(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		keptFor(r, time.Minute, time.Minute, time.Minute)
		for _, node := range r.nodes {
			scripts := 0
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				if c.Name == "EVALSHA" {
					if scripts++; scripts == 2 { // the release
						node.Set("a", "the next one", time.Minute)
					}
				}
				return a
			})
		}
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Errorf("what was there is gone: %v", err)
		}
		for i, node := range r.nodes {
			if got := node.Get("a"); got != "the next one" {
				t.Errorf("node %d has %q", i, got)
			}
		}
	})
}

func TestForceUnlockReachesANodeThatDidNotTellWhatItKeeps(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.nodes[2].SetDelay(0, 300*time.Millisecond)
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		r.mustHave("a", 0)
		r.nodes[2].SetDelay(0, 0)
	})
}

func TestForceUnlockNeedsTheWordOfAMajorityThatTheResourceIsGone(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.nodes[2].Kill()
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Errorf("with a dead minority: %v", err)
		}
		r.mustHave("a", 1)
		r.nodes[1].Kill()
		passTime(time.Second)
		err := r.ForceUnlock(t.Context(), "a")
		var votes *QuorumError
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, &votes) || votes.Op != "force unlock" ||
			votes.Yes != 1 || votes.Failed != 2 || !contains(err.Error(), "10.0.0.2:6379") {
			t.Errorf("with a dead majority: %v", err)
		}
		r.nodes[1].Start()
		r.nodes[2].Start()
	})
}

func TestForceUnlockWaitsANodeTimeoutForTheQuestionAndOneForTheRelease(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.nodes[2].Pause()
		start := time.Now()
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 2*r.nodeTimeout(r.cfg.TTL) {
			t.Errorf("it took %v", took)
		}
		r.nodes[2].Resume()
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

func TestAReleaseThatFailsIsNoWordThatTheResourceIsGone(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.nodes[0].Deny("del")
		r.nodes[1].FailWith("del", "MISCONF errors writing to the disk")
		err := r.ForceUnlock(t.Context(), "a")
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, new(*ConfigError)) || !contains(err.Error(), "MISCONF") {
			t.Errorf("got %v", err)
		}
		r.mustHave("a", 2)
	})
}

func TestForceUnlockLeavesAloneWhatIsNoLockAndSaysSo(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute)
		r.nodes[2].Do("RPUSH", "a", "no", "lock")
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Errorf("on a minority: %v", err)
		}
		r.mustHave("a", 1)
		r.nodes[1].Set("a", strings.Repeat("x", 100_000), 0)
		err := r.ForceUnlock(t.Context(), "a")
		if !errors.Is(err, ErrNoQuorum) || !errors.Is(err, errWrongType) || !errors.Is(err, errLongValue) {
			t.Errorf("on a majority: %v", err)
		}
		r.mustHave("a", 2)
		r.nodes[1].Set("a", strings.Repeat("x", maxValue-1), 0)
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Errorf("a value that might be a lock's: %v", err)
		}
	})
}

func TestALockOfThisManagerThatIsForcedIsLostAtOnce(t *testing.T) {
	for name, opts := range map[string][]LockOption{
		"random token": nil, "given token": {WithToken("mine")}, "no expiry": {WithNoExpiry()},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				lock := r.mustLock(r.Manager, "a", opts...)
				kept := r.mustLock(r.Manager, "b")
				for _, node := range r.nodes {
					looks := 0
					node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
						if c.Name == "EVALSHA" {
							if looks++; looks > 1 && lock.Valid() {
								t.Error("it is valid when its release arrives")
							}
						}
						return a
					})
				}
				if err := r.ForceUnlock(t.Context(), "a"); err != nil {
					t.Error(err)
				}
				if lock.Err() != ErrLost {
					t.Errorf("it got %v", lock.Err())
				}
				<-lock.Done()
				if !kept.Valid() {
					t.Errorf("another lock got %v", kept.Err())
				}
				if err := lock.Unlock(t.Context()); !errors.Is(err, ErrLost) {
					t.Errorf("unlocked, it got %v", err)
				}
				r.mustHave("a", 0)
				if !contains(log.String(), "lock is over") {
					t.Errorf("logged was %q", log.String())
				}
			}, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		})
	}
}

func TestAWaiterGetsWhatWasForced(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, 0, 0, 0)
		got := make(chan error)
		go func() { _, err := r.Lock(t.Context(), "a"); got <- err }()
		passTime(time.Minute)
		if err := r.manager(Config{}).ForceUnlock(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// Its keys stand, and are seen, before the manager knows that it has it.
func TestALockThatIsForcedWhileItIsBeingTakenIsOver(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		r.connected()
		taken := make(chan *Lock, 1)
		go func() {
			lock, err := r.TryLock(t.Context(), "a", WithNoExpiry())
			if err != nil {
				t.Error(err)
			}
			taken <- lock
		}()
		passTime(trip / 4) // its PERSIST comes before the releases
		if err := r.ForceUnlock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if lock := <-taken; lock.Valid() || !errors.Is(lock.Err(), ErrLost) {
			t.Errorf("%v, and %d nodes keep it", lock.Err(), r.holders("a"))
		}
	})
}
