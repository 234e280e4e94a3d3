package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

var withClock = servers.Options{Clock: true}

func TestANodeWhoseClockLeapsForwardTakesNoLockWithIt(t *testing.T) {
	rowsWith(t, 3, withClock, func(t *testing.T, q *Quorum) {
		ctx, m := t.Context(), q.New(t, redlock.Config{TTL: time.Minute})
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		q.Servers[0].SetClock(t, time.Hour)
		if value := q.Values(t, held.Resource())[0]; value != "" {
			t.Errorf("an hour later the node still keeps %q", value)
		}
		if _, err := m.TryLock(ctx, held.Resource()); !errors.Is(err, redlock.ErrTaken) {
			t.Errorf("another gets %v, want ErrTaken", err)
		}
		if err := held.Extend(ctx, 0); err != nil || !held.Valid() {
			t.Errorf("Extend returned %v, and Err is %v", err, held.Err())
		}
		wantVoteOf(t, q, m, q.Servers[0], time.Second)
		mustUnlock(t, held)
		q.WantFree(t, held.Resource(), time.Second)
	})
}

func TestANodeWhoseClockLeapsBackKeepsNobodyWaiting(t *testing.T) {
	rowsWith(t, 3, withClock, func(t *testing.T, q *Quorum) {
		ctx, m, resource := t.Context(), q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
		q.Take(t, 3, resource, "someone who has died", 2*time.Second)
		q.Servers[0].SetClock(t, -time.Hour)
		lock := wantLock(t, m, resource, 10*time.Second)
		if value := q.Values(t, resource)[0]; value != "someone who has died" {
			t.Errorf("an hour back the node keeps %q", value)
		}
		if err := lock.Extend(ctx, 0); err != nil {
			t.Errorf("extending: %v", err)
		}
		q.Servers[0].SetClock(t, 0)
		wantVoteOf(t, q, m, q.Servers[0], time.Second)
		mustUnlock(t, lock)
		q.WantFree(t, resource, time.Second)
	})
}

// Nobody but the holder can know that the key has lapsed everywhere else.
func TestALockThatHasExpiredIsDeletedOnANodeWhoseClockLeaptBack(t *testing.T) {
	rowsWith(t, 3, withClock, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{TTL: time.Second})
		lock := mustTry(t, m, q.Resource(t))
		q.Servers[0].SetClock(t, -time.Hour)
		q.WantFree(t, lock.Resource(), 5*time.Second)
		if err := lock.Err(); !errors.Is(err, redlock.ErrExpired) {
			t.Errorf("the lock's Err is %v, want ErrExpired", err)
		}
	})
}
