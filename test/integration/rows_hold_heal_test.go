package integration

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

func TestARenewedLockOutlivesItsTTLAndIsFreeOnceItIsUnlocked(t *testing.T) {
	t.Parallel()
	cfg := redlock.Config{TTL: 2 * time.Second, NodeTimeout: time.Second}
	rows(t, func(t *testing.T, q *Quorum) {
		always := cfg
		always.AutoRenew = true
		m, resource, other := newConnected(t, q, cfg), q.Resource(t), q.Resource(t)
		locks := []*redlock.Lock{
			mustTry(t, m, resource, redlock.WithAutoRenew()),
			mustTry(t, newConnected(t, q, always), other),
		}
		time.Sleep(3 * cfg.TTL)
		for _, lock := range locks {
			if held, err := lock.IsHeld(t.Context()); !held || err != nil {
				t.Errorf("it is held: %v, %v", held, err)
			}
			mustUnlock(t, lock)
		}
		q.WantFree(t, resource, 5*time.Second)
		q.WantFree(t, other, 5*time.Second)
		time.Sleep(cfg.TTL) // a renewal that was under way
		q.WantFree(t, resource, 0)
	})
}

func TestARenewedLockEndsAtItsMaxHold(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := newConnected(t, q, redlock.Config{TTL: 2 * time.Second}), q.Resource(t)
		begun := time.Now()
		lock := mustTry(t, m, resource, redlock.WithAutoRenew(), redlock.WithMaxHold(5*time.Second))
		<-lock.Done()
		wantMatch(t, lock.Err(), redlock.ErrExpired)
		if took := time.Since(begun); took < 4*time.Second {
			t.Errorf("it ended after %v", took)
		}
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestARenewedLockIsOverOnceAMajorityHasLostIt(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := newConnected(t, q, redlock.Config{TTL: 3 * time.Second}), q.Resource(t)
		lock := mustTry(t, m, resource, redlock.WithAutoRenew())
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		for _, s := range q.Servers[:2] {
			if err := s.Client.Del(t.Context(), resource).Err(); err != nil {
				t.Fatal(err)
			}
		}
		<-lock.Done()
		wantMatch(t, lock.Err(), redlock.ErrLost)
		q.WantFree(t, resource, 5*time.Second)
	})
}

// One node after the other is restarted empty, all of them in turn.
func TestNodesThatRestartEmptyAreGivenTheKeyAgain(t *testing.T) {
	t.Parallel()
	rowsWith(t, 5, servers.Options{}, func(t *testing.T, q *Quorum) {
		cfg := redlock.Config{TTL: 10 * time.Second, NodeTimeout: time.Second, RenewInterval: 2 * time.Second}
		m, resource := newConnected(t, q, cfg), q.Resource(t)
		lock := mustTry(t, m, resource, redlock.WithAutoRenew())
		endless := mustTry(t, m, resource+" for ever", redlock.WithNoExpiry())
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		for _, s := range q.Servers {
			s.Kill(t)
			s.Restart(t)
			// An interval and a second, and what a busy machine takes for it.
			q.WantEverywhere(t, resource, lock.Token(), 15*time.Second)
			q.WantEverywhere(t, resource+" for ever", endless.Token(), 15*time.Second)
		}
		eventually(t, 15*time.Second, func() error {
			for i, s := range q.Servers {
				if left := s.Client.PTTL(t.Context(), resource+" for ever").Val(); left != -1 {
					return fmt.Errorf("node %d keeps the lock without expiry for %v", i, left)
				}
			}
			return nil
		})
		mustUnlock(t, lock)
		mustUnlock(t, endless)
		q.WantFree(t, resource, 5*time.Second)
		q.WantFree(t, resource+" for ever", 5*time.Second)
	})
}

// Renewal is blocked at a random moment. Whoever waits gets the lock, and by then
// the first holder has known of its end by itself.
func TestAFirstHolderKnowsOfItsEndBeforeASecondOneHolds(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		cfg := redlock.Config{
			TTL: 300 * time.Millisecond, NodeTimeout: time.Second,
			RetryDelayMin: time.Millisecond, RetryDelayMax: 5 * time.Millisecond,
		}
		direct := newConnected(t, q, cfg)
		var blocked atomic.Bool
		proxies := q.Proxies(t)
		first := newConnected(t, q, cfg)
		for _, p := range proxies {
			p.Handle(func(m proxy.Message) proxy.Action {
				if blocked.Load() && m.Direction == proxy.ToServer {
					return proxy.Hold
				}
				return proxy.Pass
			})
		}
		resource := q.Resource(t)
		for range 50 {
			held, err := first.Lock(t.Context(), resource, redlock.WithAutoRenew())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(rand.N(300 * time.Millisecond))
			blocked.Store(true)
			next, err := direct.Lock(t.Context(), resource)
			valid := held.Valid()
			if err != nil {
				t.Fatal(err)
			}
			if valid {
				t.Errorf("it is valid for %v more, and another one holds the lock", held.Remaining())
			}
			blocked.Store(false)
			for _, p := range proxies {
				p.Release()
			}
			_ = next.Unlock(t.Context()) // it may have ended meanwhile
		}
	})
}
