package redlock

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
	"github.com/redlock-go/redlock/internal/scripts"
)

func mustResume(t *testing.T, m *Manager, resource, token string, opts ...LockOption) *Lock {
	t.Helper()
	lock, err := m.Resume(t.Context(), resource, token, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// keptFor has the nodes keep the resource under the token mine, as long as is
// said: 0 is without expiry. Another has it where that is negative.
func keptFor(r *rig, kept ...time.Duration) {
	for i, d := range kept {
		if r.nodes[i].Set("a", "mine", d); d < 0 {
			r.nodes[i].Set("a", "another's", time.Minute)
		}
	}
}

func TestALockIsResumedByItsResourceAndToken(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		keptFor(r, 8*time.Second, 8*time.Second, 8*time.Second)
		start := time.Now()
		lock := mustResume(t, r.Manager, "a", "mine", WithCarry("carried"))
		want := trustedUntil(start, 8*time.Second, r.cfg.DriftFactor, 0)
		if !lock.Valid() || !lock.Until().Equal(want) || lock.Token() != "mine" || lock.Resource() != "a" ||
			lock.TTL() != 10*time.Second || lock.Carry() != "carried" {
			t.Errorf("got %v, want until %v", lock, want)
		}
		if held := r.Held(); !slices.Contains(held, lock) {
			t.Errorf("the manager holds %v", held)
		}
		if held, err := lock.IsHeld(t.Context()); !held || err != nil {
			t.Error(held, err)
		}
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if left := r.nodes[0].PTTL("a"); left != 10*time.Second {
			t.Errorf("extended, %v are left", left)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

func TestALockOfAManagerThatIsGoneIsResumed(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		first := r.manager(Config{})
		old := r.mustLock(first, "a")
		lock := mustResume(t, r.Manager, "a", old.Token())
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		if err := old.Extend(t.Context(), 0); !errors.Is(err, ErrLost) {
			t.Errorf("whoever had it got %v", err)
		}
	})
}

func TestAResumedLockIsValidForWhatAMajorityKeeps(t *testing.T) {
	for _, row := range []struct {
		kept []time.Duration // in seconds, see keptFor
		want time.Duration   // 0: no expiry
	}{
		{[]time.Duration{5, 7, 6}, 6},
		{[]time.Duration{5, 7, -1}, 5},
		{[]time.Duration{5, 0, 6}, 6},
		{[]time.Duration{5, -1, 0}, 5},
		{[]time.Duration{5, 0, 0}, 0},
		{[]time.Duration{0, 0, -1}, 0},
		{[]time.Duration{9, 8, 7, 6, 5}, 7},
		{[]time.Duration{9, 8, 7, 6}, 7},
	} {
		bubble(t, len(row.kept), Config{Margin: time.Second, DriftFactor: 0.1}, func(t *testing.T, r *rig) {
			kept := slices.Clone(row.kept)
			for i := range kept {
				kept[i] *= time.Second
			}
			keptFor(r, kept...)
			start := time.Now()
			lock := mustResume(t, r.Manager, "a", "mine", WithTTL(20*time.Second))
			if row.want == 0 {
				if lock.TTL() != 0 || !lock.Until().IsZero() || lock.Remaining() != math.MaxInt64 {
					t.Errorf("%v: got %v", row.kept, lock)
				}
				if err := lock.Extend(t.Context(), 0); !errors.Is(err, ErrNoExpiry) {
					t.Errorf("%v: extended, it got %v", row.kept, err)
				}
				passTime(time.Hour)
				if !lock.Valid() {
					t.Errorf("%v: got %v", row.kept, lock.Err())
				}
				return
			}
			want := start.Add(row.want*time.Second*9/10 - 2*time.Millisecond - time.Second)
			if !lock.Until().Equal(want) || lock.TTL() != 20*time.Second {
				t.Errorf("%v: until %v, want %v", row.kept, lock.Until().Sub(start), want.Sub(start))
			}
			passTime(time.Until(want))
			if err := lock.Err(); !errors.Is(err, ErrExpired) {
				t.Errorf("%v: at its end it got %v", row.kept, err)
			}
			passTime(reaped)
			if has := r.holders("a"); has > len(slices.DeleteFunc(kept, func(d time.Duration) bool { return d >= 0 })) {
				t.Errorf("%v: %d nodes have a key", row.kept, has)
			}
		})
	}
}

func TestTheTimeThatANodeTakesToTellIsNotPartOfTheValidity(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, 8*time.Second, 8*time.Second, 8*time.Second)
		r.connected()
		for _, node := range r.nodes {
			node.SetDelay(0, 100*time.Millisecond)
		}
		start := time.Now()
		lock := mustResume(t, r.Manager, "a", "mine")
		if want := trustedUntil(start, 8*time.Second, r.cfg.DriftFactor, 0); !lock.Until().Equal(want) {
			t.Errorf("until %v, want %v", lock.Until().Sub(start), want.Sub(start))
		}
	})
}

func TestResumeWaitsForAllNodesAndNoLongerThanANodeTimeout(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, 5*time.Second, 6*time.Second, 7*time.Second)
		r.connected()
		r.nodes[2].SetDelay(0, 100*time.Millisecond)
		start := time.Now()
		lock := mustResume(t, r.Manager, "a", "mine")
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if want := trustedUntil(start, 6*time.Second, r.cfg.DriftFactor, 0); !lock.Until().Equal(want) {
			t.Errorf("the slowest node was not asked: until %v", lock.Until().Sub(start))
		}
	})
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, 5*time.Second, 6*time.Second, 7*time.Second)
		r.connected()
		r.nodes[2].Pause()
		start := time.Now()
		lock := mustResume(t, r.Manager, "a", "mine")
		if took := time.Since(start); took != r.nodeTimeout(r.cfg.TTL) {
			t.Errorf("it took %v", took)
		}
		if want := trustedUntil(start, 5*time.Second, r.cfg.DriftFactor, 0); !lock.Until().Equal(want) {
			t.Errorf("until %v", lock.Until().Sub(start))
		}
		r.nodes[2].Resume()
	})
}

func TestALockThatAMajorityDoesNotKeepUnderTheTokenIsNotHeld(t *testing.T) {
	onBoth(t, 3, func(t *testing.T, r *rig) {
		for name, set := range map[string]func(){
			"free":            func() {},
			"another's":       func() { keptFor(r, -1, -1, -1) },
			"on a minority":   func() { keptFor(r, time.Minute) },
			"a part of it":    func() { keptFor(r, -1, -1); r.nodes[2].Set("a", "mine2", 0) },
			"with a fence":    func() { r.nodes[0].Set("a", "mine\x1f1", 0); r.nodes[1].Set("a", "mine\x1f1", 0) },
			"no string":       func() { r.nodes[0].Do("RPUSH", "a", "mine"); r.nodes[1].Do("RPUSH", "a", "mine") },
			"much too long":   func() { keptFor(r, -1); r.nodes[1].Set("a", "mine"+strings.Repeat("x", 100_000), 0) },
			"already expired": func() { keptFor(r, time.Millisecond, time.Millisecond); passTime(2 * time.Millisecond) },
		} {
			for _, node := range r.nodes {
				node.FlushAll()
			}
			set()
			left := make([]string, 3)
			for i, node := range r.nodes {
				left[i] = node.Do("DUMP", "a")
			}
			_, err := r.Resume(t.Context(), "a", "mine")
			var votes *QuorumError
			if !errors.Is(err, ErrNotHeld) || errors.Is(err, ErrExpired) || errors.Is(err, ErrNoQuorum) ||
				!errors.As(err, &votes) || votes.Op != "resume" || votes.No < 2 || votes.Total != 3 {
				t.Errorf("%s: got %v", name, err)
			}
			passTime(time.Second)
			for i, node := range r.nodes {
				if node.Do("DUMP", "a") != left[i] {
					t.Errorf("%s: what node %d has was changed", name, i)
				}
			}
		}
	})
}

func TestMissingAnswersThatCouldChangeWhetherALockIsHeldAreNoQuorum(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, -1, time.Minute)
		r.connected()
		r.nodes[2].Kill()
		_, err := r.Resume(t.Context(), "a", "mine")
		var votes *QuorumError
		if !errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrNotHeld) || !errors.As(err, &votes) ||
			votes.Yes != 1 || votes.No != 1 || votes.Failed != 1 || !contains(err.Error(), "10.0.0.3:6379") {
			t.Errorf("got %v", err)
		}
		r.nodes[0].Set("a", "another's", 0)
		if _, err := r.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrNotHeld) {
			t.Errorf("whatever the third would say: got %v", err)
		}
		r.nodes[2].Start()
	})
}

func TestALockThatIsKeptForTooShortToBeTrustedHasExpired(t *testing.T) {
	bubble(t, 3, Config{Margin: time.Second}, func(t *testing.T, r *rig) {
		keptFor(r, time.Second, time.Second, time.Minute)
		_, err := r.Resume(t.Context(), "a", "mine")
		if !errors.Is(err, ErrExpired) || !errors.Is(err, ErrNotHeld) || !errors.As(err, new(*QuorumError)) {
			t.Errorf("got %v", err)
		}
		r.mustHave("a", 3) // it is left to lapse
		if _, err := r.Resume(t.Context(), "a", "mine", WithMaxHold(1)); !errors.Is(err, ErrExpired) {
			t.Errorf("with a limit that has passed: got %v", err)
		}
	})
}

func TestAnswersThatComeAfterTheEndOfALockResumeNothing(t *testing.T) {
	bubble(t, 3, Config{NodeTimeout: time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		keptFor(r, 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond)
		r.nodes[0].SetDelay(0, 400*time.Millisecond)
		if _, err := r.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMaxHoldCountsFromTheResume(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		start := time.Now()
		lock := mustResume(t, r.Manager, "a", "mine", WithMaxHold(3*time.Second))
		if err := lock.Extend(t.Context(), time.Minute); err != nil || !lock.Until().Equal(start.Add(3*time.Second)) {
			t.Errorf("got %v, until %v", err, lock.Until().Sub(start))
		}
		passTime(3 * time.Second)
		if !errors.Is(lock.Err(), ErrExpired) {
			t.Errorf("got %v", lock.Err())
		}
		r.mustHave("a", 0)
	})
}

func TestWhatContradictsAResumeIsRefused(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		mustRefuse := func(what, field, token string, opts ...LockOption) {
			t.Helper()
			var config *ConfigError
			if _, err := r.Resume(t.Context(), "a", token, opts...); !errors.As(err, &config) || config.Field != field {
				t.Errorf("%s: got %v", what, err)
			}
		}
		mustRefuse("an empty token", "token", "")
		mustRefuse("a long one", "token", strings.Repeat("x", 513))
		mustRefuse("a control character", "token", "a\x1f7")
		mustRefuse("a second token", "token", "mine", WithToken("mine"))
		mustRefuse("no expiry", "WithNoExpiry", "mine", WithNoExpiry())
		mustRefuse("a bad TTL", "ttl", "mine", WithTTL(time.Millisecond))
		mustRefuse("a fence", "WithFence", "mine", WithFence())
		if len(r.nodes[0].Conns()) != 0 {
			t.Error("a node was connected to")
		}
		keptFor(r, 0, 0, 0)
		mustRefuse("a limit for a lock that does not expire", "WithMaxHold", "mine", WithMaxHold(time.Minute))
		r.mustHave("a", 3)
		if _, err := r.Resume(t.Context(), "a", strings.Repeat("x", 512)); !errors.Is(err, ErrNotHeld) {
			t.Errorf("the longest token: got %v", err)
		}
	})
}

func TestALockThatThisManagerHoldsIsNotResumed(t *testing.T) {
	for _, opts := range [][]LockOption{nil, {WithToken("mine")}, {WithNoExpiry()}} {
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			lock := r.mustLock(r.Manager, "a", opts...)
			before := len(r.nodes[0].Commands())
			for range 2 {
				_, err := r.Resume(t.Context(), "a", lock.Token())
				if !errors.Is(err, ErrAlreadyHeld) || !errors.Is(err, ErrTaken) {
					t.Errorf("got %v", err)
				}
			}
			if len(r.nodes[0].Commands()) != before {
				t.Error("the nodes were asked")
			}
			if !lock.Valid() {
				t.Error(lock.Err())
			}
			if _, err := r.Resume(t.Context(), "b", lock.Token()); !errors.Is(err, ErrNotHeld) {
				t.Errorf("of another resource: got %v", err)
			}
			other := mustResume(t, r.manager(Config{}), "a", lock.Token())
			if err := other.Unlock(t.Context()); err != nil {
				t.Errorf("another manager's: %v", err)
			}
		})
	}
}

func TestAResumedLockIsHeldByThisManagerForEveryOtherCall(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute)
		lock := mustResume(t, r.Manager, "a", "mine")
		if _, err := r.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("a second Resume got %v", err)
		}
		before := len(r.nodes[2].Commands())
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrAlreadyHeld) {
			t.Errorf("TryLock got %v", err)
		}
		if len(r.nodes[2].Commands()) != before {
			t.Error("the nodes were asked")
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.mustLock(r.Manager, "a", WithToken("mine"))
	})
}

func TestOfTwoResumesAtATimeOneAsks(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.connected()
		r.nodes[0].SetDelay(0, 100*time.Millisecond)
		first := make(chan *Lock)
		go func() { first <- mustResume(t, r.Manager, "a", "mine") }()
		synctest.Wait()
		if _, err := r.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("the second got %v", err)
		}
		if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("TryLock got %v", err)
		}
		if lock := <-first; !lock.Valid() {
			t.Error(lock.Err())
		}
	})
}

// The way back after a restart: the token is tried, it holds the lock, and the
// lock is resumed.
func TestALockThatTheTokenHoldsIsResumedAtOnce(t *testing.T) {
	for name, third := range map[string]func(r *rig){
		"granted there": func(*rig) {},
		"dead":          func(r *rig) { r.nodes[2].Kill() },
		"silent":        func(r *rig) { r.nodes[2].Pause() },
		"another's":     func(r *rig) { r.nodes[2].Set("a", "another's", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				keptFor(r, time.Minute, time.Minute)
				r.connected()
				third(r)
				if _, err := r.TryLock(t.Context(), "a", WithToken("mine")); !errors.Is(err, ErrAlreadyHeld) {
					t.Errorf("got %v", err)
				}
				lock := mustResume(t, r.Manager, "a", "mine")
				passTime(time.Second)
				if held, err := lock.IsHeld(t.Context()); !held {
					t.Error(err)
				}
				r.nodes[2].Start()
			})
		})
	}
}

func TestUnlockOfAResumedLockReachesEveryNodeThatMayHaveIt(t *testing.T) {
	const random = "0123456789abcdef0123456789abcdef@worker"
	for name, away := range map[string]struct{ leave, back func(*fakeredis.Node) }{
		"dead":   {(*fakeredis.Node).Kill, (*fakeredis.Node).Start},
		"silent": {(*fakeredis.Node).Pause, (*fakeredis.Node).Resume},
	} {
		for _, whileAway := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, unlocked meanwhile %v", name, whileAway), func(t *testing.T) {
				bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
					for _, node := range r.nodes {
						node.Set("a", random, time.Hour)
					}
					r.connected()
					away.leave(r.nodes[2])
					lock := mustResume(t, r.Manager, "a", random)
					if !whileAway {
						away.back(r.nodes[2])
						passTime(2 * time.Second)
					}
					if err := lock.Unlock(t.Context()); err != nil {
						t.Error(err)
					}
					if whileAway {
						passTime(5 * time.Second)
						away.back(r.nodes[2])
					}
					passTime(2 * time.Second)
					r.mustHave("a", 0)
				})
			})
		}
	}
}

func TestAResumedLockThatDoesNotExpireIsReleasedHoweverLongANodeIsAway(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		keptFor(r, 0, 0, 0)
		r.connected()
		r.nodes[2].Kill()
		lock := mustResume(t, r.Manager, "a", "mine")
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(time.Hour)
		r.mustHave("a", 1)
		r.nodes[2].Start()
		passTime(2 * time.Second)
		r.mustHave("a", 0)
	})
}

func TestTheReleaseOfAResumedTokenThatACallerChoseIsNotRepeated(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, 20*time.Second)
		r.connected()
		r.nodes[2].Kill()
		lock := mustResume(t, r.Manager, "a", "mine")
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		r.nodes[2].Start()
		passTime(10 * time.Second)
		r.mustHave("a", 1) // the caller may use the token again elsewhere: it lapses
	})
}

func TestCloseReleasesWhatWasResumed(t *testing.T) {
	for _, ttl := range []time.Duration{time.Minute, 0} {
		bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
			keptFor(r, ttl, ttl, ttl)
			m := r.manager(Config{})
			lock := mustResume(t, m, "a", "mine")
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if lock.Err() != ErrReleased {
				t.Errorf("got %v", lock.Err())
			}
			r.mustHave("a", 0)
		})
	}
}

func TestAManagerThatClosesWhileItResumesLeavesTheLockAsItIs(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		keptFor(r, time.Minute, time.Minute, time.Minute)
		m := r.manager(Config{})
		if err := m.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.nodes[0].SetDelay(0, 100*time.Millisecond)
		ended := make(chan error)
		go func() { _, err := m.Resume(t.Context(), "a", "mine"); ended <- err }()
		synctest.Wait()
		go func() { _ = m.Close(t.Context()) }()
		if err := <-ended; err != ErrClosed {
			t.Errorf("got %v", err)
		}
		passTime(time.Second)
		r.mustHave("a", 3)
	})
}

func TestALockWhoseReleaseIsStillOnItsWayIsNotResumed(t *testing.T) {
	for _, token := range []string{"", "mine"} {
		t.Run("given token "+token, func(t *testing.T) {
			bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
				var opts []LockOption
				if token != "" {
					opts = append(opts, WithToken(token))
				}
				lock := r.mustLock(r.Manager, "a", opts...)
				execute := make(chan struct{})
				for _, node := range r.nodes[:2] {
					node.Deny("client|kill")
					late := node.Conns()[0]
					node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
						if c.Conn == late {
							a.Until = execute
						}
						return a
					})
				}
				if err := lock.Unlock(t.Context()); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("the release got %v", err)
				}
				// On connections of their own, from now on, these nodes are as fast as ever,
				// but a release for them is under way on the old ones.
				for _, node := range r.nodes[:2] {
					node.FailWith("del", "OOM for a while")
				}
				passTime(3 * time.Second)
				_, err := r.Resume(t.Context(), "a", lock.Token())
				if !errors.Is(err, ErrNoQuorum) || !errors.Is(err, errReleasing) {
					t.Errorf("got %v", err)
				}
				for _, node := range r.nodes[:2] {
					node.FailWith("del", "")
				}
				close(execute)
				passTime(10 * time.Second)
				r.mustHave("a", 0)
			})
		})
	}
}

func TestALockThatIsOverAndAboutToBeReleasedIsNotResumed(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			node.Deny("del") // the keys outlive the lock
		}
		passTime(time.Until(lock.Until()) - 1)
		lock.end(ErrLost) // and its release is still to be queued
		if _, err := r.Resume(t.Context(), "a", lock.Token()); !errors.Is(err, ErrLost) || !errors.Is(err, ErrNotHeld) {
			t.Errorf("got %v", err)
		}
		lock.abandon()
		for _, node := range r.nodes {
			node.FailWith("del", "")
		}
	})
}

func TestOnANodeWithReplicasAResumeCountsWhenTheyHaveConfirmedTheKey(t *testing.T) {
	replicated := func(r *rig) *Manager {
		cfg := Config{}
		for i, node := range r.nodes {
			node.SetReplicas(1, 0)
			n := Addr(fmt.Sprintf("10.0.0.%d", i+1), 6379)
			n.Replicas = 1
			cfg.Nodes = append(cfg.Nodes, n)
		}
		return r.manager(cfg)
	}
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		m := replicated(r)
		keptFor(r, time.Minute, 0, 2*time.Minute)
		lock := mustResume(t, m, "a", "mine")
		for i, want := range []time.Duration{time.Minute, -1, 2 * time.Minute} {
			if got := r.nodes[i].PTTL("a"); got != want {
				t.Errorf("node %d keeps it for %v now, not %v", i, got, want)
			}
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		m := replicated(r)
		keptFor(r, time.Minute, time.Minute, time.Minute)
		r.nodes[0].SetReplicas(0, 0)
		mustResume(t, m, "a", "mine")
		r.nodes[1].SetReplicas(0, 0)
		_, err := replicated(r).Resume(t.Context(), "a", "mine")
		if err != nil {
			t.Errorf("all replicas are back: %v", err)
		}
		last := replicated(r)
		r.nodes[0].SetReplicas(0, 0)
		r.nodes[1].SetReplicas(0, 0)
		if _, err := last.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrNoQuorum) || !errors.Is(err, errReplicas) {
			t.Errorf("got %v", err)
		}
	})
	// What is not written may be confirmed by replicas that have never seen it.
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		m := replicated(r)
		keptFor(r, time.Minute, time.Minute, time.Minute)
		for _, node := range r.nodes {
			node.FailWith("set", "READONLY You can't write against a read only replica.")
		}
		if _, err := m.Resume(t.Context(), "a", "mine"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("nothing was written: got %v", err)
		}
		mustResume(t, r.Manager, "a", "mine") // nodes without replicas write nothing
	})
}

func TestAResumeDoesNotOvertakeAReleaseThatIsSentAgainInFull(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		lock := r.mustLock(r.Manager, "a")
		passTime(10 * trip)
		for _, node := range r.nodes {
			node.ScriptFlush()
			node.Do("SCRIPT", "LOAD", scripts.Look)
		}
		ended := make(chan error, 1)
		go func() { ended <- lock.Unlock(t.Context()) }()
		synctest.Wait()
		again, err := r.Resume(t.Context(), "a", lock.Token())
		<-ended
		passTime(time.Second)
		if err == nil && again.Valid() && r.holders("a") == 0 {
			t.Error("the resumed lock is valid, and no node keeps it")
		}
	})
}
