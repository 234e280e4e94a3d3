package integration

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// What went wrong in other libraries while a lock was held or let go.

// The lock's own release at its end is held back meanwhile.
func TestALockIsInvalidFromItsEndOnAlthoughTheNodesStillKeepIt(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{TTL: 2 * time.Second}))
		lock := mustTry(t, m, resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		lapseIn(t, q, resource, time.Hour)
		holdBack("EVALSHA", proxies...)
		for time.Now().Before(lock.Until()) {
			time.Sleep(time.Millisecond)
		}
		for i, s := range q.Servers {
			if left, err := s.Client.PTTL(t.Context(), resource).Result(); err != nil || left < time.Minute {
				t.Errorf("node %d keeps it for %v (%v)", i, left, err)
			}
		}
		if lock.Valid() || lock.Remaining() != 0 {
			t.Errorf("valid: %v, remaining: %v", lock.Valid(), lock.Remaining())
		}
		wantMatch(t, lock.Err(), redlock.ErrExpired)
		awaitEnd(t, lock)
		letGo(proxies...)
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestAnUnlockThatFailsSaysSo(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{TTL: time.Minute, NodeTimeout: 300 * time.Millisecond})
		connected(t, m)
		lock := mustTry(t, m, q.Resource(t))
		holdBack("EVALSHA", proxies[:2]...)
		wantMatch(t, lock.Unlock(t.Context()), redlock.ErrNoQuorum)
		letGo(proxies[:2]...)
		q.WantFree(t, lock.Resource(), 5*time.Second)
	})
}

func TestARenewalThatFailsTellsTheHolder(t *testing.T) {
	t.Run("the lock was stolen", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			m := q.New(t, redlock.Config{TTL: time.Minute, RenewInterval: 50 * time.Millisecond})
			resource := q.Resource(t)
			err := m.Do(t.Context(), resource, func(ctx context.Context, lock *redlock.Lock) error {
				q.Take(t, 3, resource, "thief", time.Minute)
				wantEnd(t, ctx, lock, redlock.ErrLost)
				return nil
			})
			wantMatch(t, err, redlock.ErrLost)
		})
	})
	t.Run("no node answers", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m := q.New(t, redlock.Config{TTL: time.Second})
			err := m.Do(t.Context(), q.Resource(t), func(ctx context.Context, lock *redlock.Lock) error {
				for _, p := range proxies {
					p.Down()
				}
				wantEnd(t, ctx, lock, redlock.ErrExpired)
				return nil
			})
			wantMatch(t, err, redlock.ErrExpired)
			for _, p := range proxies {
				p.Up(t)
			}
		})
	})
}

// wantEnd fails unless ctx, which Do gave with lock, ends soon for the reason want.
func wantEnd(t *testing.T, ctx context.Context, lock *redlock.Lock, want error) {
	t.Helper()
	select {
	case <-ctx.Done():
		wantMatch(t, context.Cause(ctx), want)
		wantMatch(t, lock.Err(), want)
	case <-time.After(10 * time.Second):
		t.Error("the holder is not told")
	}
}

func TestAnExtendAfterTheEndDoesNotBringTheKeyBack(t *testing.T) {
	t.Run("it is called after the end", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			m := q.New(t, redlock.Config{TTL: 200 * time.Millisecond})
			lock := mustTry(t, m, q.Resource(t))
			awaitEnd(t, lock)
			q.WantFree(t, lock.Resource(), 5*time.Second)
			wantMatch(t, lock.Extend(t.Context(), time.Minute), redlock.ErrExpired)
			wantMatch(t, lock.ExtendBy(t.Context(), time.Minute), redlock.ErrExpired)
			connected(t, m) // every node has answered what was sent before
			q.WantFree(t, lock.Resource(), 0)
		})
	})
	t.Run("it arrives after the end", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m := q.New(t, redlock.Config{TTL: 3 * time.Second, NodeTimeout: 250 * time.Millisecond})
			connected(t, m)
			var late atomic.Int32 // extends that were executed late
			for _, p := range proxies {
				p.Handle(func(m proxy.Message) proxy.Action {
					switch {
					case m.Conn != 1 || m.Name != "EVALSHA":
					case m.Direction == proxy.ToServer:
						return proxy.Hold
					default:
						late.Add(1)
					}
					return proxy.Pass
				})
			}
			lock := mustTry(t, m, q.Resource(t))
			if err := lock.Extend(t.Context(), time.Minute); err == nil {
				t.Error("it was extended without an answer")
			}
			awaitCommand(t, "EVALSHA", proxies...)
			awaitEnd(t, lock) // by then the first connections are given up: no release is behind the extends
			q.WantFree(t, lock.Resource(), 5*time.Second)
			for _, p := range proxies {
				p.Release()
			}
			eventually(t, 5*time.Second, func() error {
				if n := late.Load(); n < 3 {
					return fmt.Errorf("%d extends were executed", n)
				}
				return nil
			})
			q.WantFree(t, lock.Resource(), 0)
			wantMatch(t, lock.Err(), redlock.ErrExpired)
		})
	})
}

func TestATTLBelowAMillisecondDeletesNothing(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
		lock := mustTry(t, m, resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		wantConfigError(t, lock.Extend(t.Context(), time.Nanosecond), "ttl")
		wantConfigError(t, lock.Extend(t.Context(), time.Millisecond-1), "ttl")
		if err := lock.ExtendBy(t.Context(), time.Nanosecond); err != nil {
			t.Error(err)
		}
		_, err := m.TryLock(t.Context(), q.Resource(t), redlock.WithTTL(time.Nanosecond))
		wantConfigError(t, err, "ttl")
		connected(t, m) // every node has answered what was sent before
		q.WantEverywhere(t, resource, lock.Token(), 0)
		if !lock.Valid() {
			t.Error("the lock is over")
		}
	})
}

func TestAnEmptyTokenOwnsNothing(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
		q.Take(t, 3, resource, "", time.Minute)
		_, err := m.TryLock(t.Context(), resource, redlock.WithToken(""))
		wantConfigError(t, err, "token")
		_, err = m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrAlreadyHeld)
		wantConfigError(t, m.Extend(t.Context(), new(redlock.Lock), time.Hour), "lock")
		wantConfigError(t, m.Unlock(t.Context(), new(redlock.Lock)), "lock")
		for _, s := range q.Servers {
			if left := s.Client.PTTL(t.Context(), resource).Val(); left <= 0 || left > time.Minute {
				t.Errorf("the empty key has %v left", left)
			}
		}
	})
}

func TestARenewalThatFailedIsTriedAgain(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{TTL: 10 * time.Second, RenewInterval: 100 * time.Millisecond})
		err := m.Do(t.Context(), q.Resource(t), func(ctx context.Context, lock *redlock.Lock) error {
			for _, p := range proxies {
				p.Down()
			}
			time.Sleep(time.Second) // the time for several renewals
			before := lock.Until()
			for _, p := range proxies {
				p.Up(t)
			}
			eventually(t, 8*time.Second, func() error {
				if !lock.Until().After(before) {
					return fmt.Errorf("the lock still ends in %v", lock.Remaining())
				}
				return ctx.Err()
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
