package redlock

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestAGivenTokenIsStoredAsItIs(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithToken("job-7"))
		if lock.Token() != "job-7" || r.nodes[1].Get("a") != "job-7" {
			t.Errorf("the token is %q, the node has %q", lock.Token(), r.nodes[1].Get("a"))
		}
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Error(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestARandomTokenHas128BitsAndTheOwnersLabel(t *testing.T) {
	bubble(t, 1, Config{Owner: "me"}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		random, owner, _ := strings.Cut(lock.Token(), "@")
		if len(random) != 32 || owner != "me" {
			t.Errorf("got %q", lock.Token())
		}
	})
}

func TestATokenThatHoldsTheLockAlreadyIsSaidToAndNotWaitedFor(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "a", WithToken("mine"))
		start := time.Now()
		for _, lock := range []func(context.Context, string, ...LockOption) (*Lock, error){r.Lock, r.TryLock} {
			_, err := lock(t.Context(), "a", WithToken("mine"))
			if !errors.Is(err, ErrAlreadyHeld) || !errors.Is(err, ErrTaken) {
				t.Errorf("got %v", err)
			}
		}
		_, err := r.TryLock(t.Context(), "a", WithToken("other"))
		if !errors.Is(err, ErrTaken) || errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("another token got %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		r.mustHave("a", 3)
	})
}

func TestATokenThatThisManagerHoldsIsAlreadyHeldWithoutIO(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.Manager, "a", WithToken("mine"))
		before := len(r.nodes[0].Commands())
		if _, err := r.Lock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("Lock got %v", err)
		}
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("TryLock got %v", err)
		}
		if len(r.nodes[0].Commands()) != before {
			t.Error("the nodes were asked")
		}
	})
}

func TestAGivenTokenIsUsedAgainOnlyWhenNothingOfItsLastUseIsLeft(t *testing.T) {
	bubble(t, 3, Config{TTL: 4 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[2].Pause()
		lock, err := r.TryLock(t.Context(), "a", WithToken("mine"))
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("TryLock waited for %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.Lock(ctx, "a", WithToken("mine"))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
		if _, err := r.Lock(t.Context(), "a", WithToken("mine")); err != nil {
			t.Errorf("after its TTL: %v", err)
		}
		if took := time.Since(start); took < 4*time.Second {
			t.Errorf("it was used again after %v, before its TTL had passed", took)
		}
		r.nodes[2].Resume()
	})
}

func TestALogHandlerMayAskForTheTokenOfTheLockThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *Manager
		handled := false
		handle := func() {
			handled = true
			if !m.uses.mu.TryLock() {
				t.Error("it would wait for whoever has called it")
				return
			}
			m.uses.mu.Unlock()
			next, err := m.TryLock(t.Context(), "a", WithToken("mine"))
			switch {
			case err == nil: // every node has answered the release by now
				err = next.Unlock(t.Context())
			case errors.Is(err, ErrNoQuorum):
				err = nil
			}
			if err != nil {
				t.Errorf("got %v", err)
			}
		}
		r := newRig(t, 3, Config{}, WithLogger(slog.New(onWarning{slog.DiscardHandler, handle})))
		m = r.Manager
		lock := r.mustLock(m, "a", WithToken("mine"))
		lock.mu.Lock()
		lock.until = time.Now() // its timer is set for later: the next use of its token finds it over
		lock.mu.Unlock()
		if _, err := m.TryLock(t.Context(), "a", WithToken("mine")); errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("got %v", err)
		}
		if lock.life.Err() == nil {
			t.Error("the lock is over, and was not ended")
		}
		synctest.Wait()
		if !handled {
			t.Error("it was not logged")
		}
	})
}

func TestAGivenTokenWhoseReleaseEveryNodeHasAnsweredIsFree(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for range 5 {
			lock := r.mustLock(r.Manager, "a", WithToken("mine"))
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		r.nodes[0].Set("a", "thief", 0)
		r.nodes[1].Set("a", "thief", 0)
		for range 3 {
			if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrTaken) {
				t.Errorf("got %v", err)
			}
			synctest.Wait()
		}
		r.mustHave("a", 2)
	})
}

func TestALostTryWithAGivenTokenIsReleasedOnlyWhereItWasGranted(t *testing.T) {
	bubble(t, 5, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Set("a", "mine", time.Minute) // an earlier use, by another process
		r.nodes[1].Set("a", "thief", time.Minute)
		r.nodes[2].Set("a", "thief", time.Minute)
		r.nodes[3].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			a.DropReply = c.Name == "EVALSHA"
			return a
		})
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
		passTime(20 * time.Second)
		if got := r.nodes[0].Get("a"); got != "mine" {
			t.Errorf("the earlier use was released: %q", got)
		}
		if !r.nodes[3].Exists("a") {
			t.Error("an unknown vote was released")
		}
		if r.nodes[4].Exists("a") {
			t.Error("the grant was not released")
		}
	})
}

func TestWithAGivenTokenTheVerdictWaitsForAllNodes(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[2].SetDelay(100*time.Millisecond, 0)
		start := time.Now()
		r.mustLock(r.Manager, "a", WithToken("mine"))
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestALockWithoutExpiryIsPersistedByAMajority(t *testing.T) {
	bubble(t, 5, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[4].SetDelay(50*time.Millisecond, 0)
		r.nodes[3].Set("a", "thief", time.Second)
		lock := r.mustLock(r.Manager, "a", WithNoExpiry())
		if lock.TTL() != 0 || !lock.Until().IsZero() || lock.Remaining() < 1<<62 || !lock.Valid() {
			t.Errorf("TTL %v, Until %v, Remaining %v", lock.TTL(), lock.Until(), lock.Remaining())
		}
		passTime(time.Hour)
		for _, i := range []int{0, 1, 2, 4} {
			if ttl := r.nodes[i].PTTL("a"); ttl != -1 {
				t.Errorf("node %d keeps it for %v", i, ttl)
			}
		}
		if !lock.Valid() {
			t.Error("it is over")
		}
		if err := lock.Extend(t.Context(), 0); !errors.Is(err, ErrNoExpiry) {
			t.Errorf("got %v", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

func TestALockWithoutExpiryThatNoMajorityPersistsIsReleased(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes[:2] {
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				a.CutReply = strings.Contains(c.Name, "EVAL") && len(c.Args) == 4 && node.Exists("a") && node.PTTL("a") > 0
				return a
			})
		}
		if _, err := r.TryLock(t.Context(), "a", WithNoExpiry()); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		for _, node := range r.nodes {
			node.OnCommand(nil)
		}
		passTime(reaped)
		r.mustHave("a", 0)
	})
}

func TestAKeyWithoutExpiryIsReleasedHoweverLongItsNodeIsAway(t *testing.T) {
	for name, opts := range map[string][]LockOption{
		"a token of its own": {WithNoExpiry()},
		"a given token":      {WithNoExpiry(), WithToken("mine")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
				lock := r.mustLock(r.Manager, "a", opts...)
				r.nodes[0].Kill()
				if err := lock.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
				passTime(2 * time.Hour)
				r.nodes[0].Start()
				passTime(reaped)
				r.mustHave("a", 0)
			})
		})
	}
}

func TestAGrantMayComeWhileTheTimeOutOfItsNodeIsFollowed(t *testing.T) {
	for range 50 { // both at once: the race detector looks
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			r.connected()
			r.nodes[2].SetDelay(0, r.nodeTimeout(r.cfg.TTL))
			lock, err := r.TryLock(t.Context(), "a", WithNoExpiry(), WithToken("mine"))
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The heal of a lock that is lost meanwhile is granted behind the releases.
func TestALostLockWithoutExpiryGivesItsTokenBack(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithToken("mine"), WithNoExpiry())
		passTime(time.Second)
		r.nodes[2].FlushAll()
		healing := make(chan struct{})
		r.nodes[2].OnCommand(func(c fakeredis.Command) fakeredis.Action {
			if c.Name == "EVALSHA" && len(c.Args) == 5 && c.Args[4] == "3000" {
				close(healing)
				return fakeredis.Action{Delay: 500 * time.Millisecond}
			}
			return fakeredis.Action{}
		})
		<-healing
		r.nodes[2].OnCommand(nil)
		r.nodes[0].FlushAll()
		r.nodes[1].FlushAll()
		if held, _ := lock.IsHeld(t.Context()); held {
			passTime(time.Second)
		}
		passTime(time.Minute)
		if err := lock.Err(); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); err != nil {
			t.Error(err)
		}
	})
}
