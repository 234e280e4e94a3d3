package integration

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// wantForGood fails unless all servers soon keep key without an expiry.
func wantForGood(t testing.TB, q *Quorum, key string) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		for _, s := range q.Servers {
			if left, err := s.Client.PTTL(t.Context(), key).Result(); err != nil || left != -1 {
				return fmt.Errorf("%s keeps %q for %v (%v)", s.Addr, key, left, err)
			}
		}
		return nil
	})
}

func TestALockWithoutExpiryIsValidUntilItIsUnlocked(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Second}), resource, redlock.WithNoExpiry())
		wantForGood(t, q, resource)
		time.Sleep(3 * time.Second)
		if !lock.Valid() || lock.Err() != nil {
			t.Errorf("it has ended: %v", lock.Err())
		}
		if isDone(lock.Done()) {
			t.Error("it is done")
		}
		if lock.TTL() != 0 || !lock.Until().IsZero() || lock.Remaining() != math.MaxInt64 {
			t.Errorf("its TTL is %v, it ends at %v, %v remain", lock.TTL(), lock.Until(), lock.Remaining())
		}
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		if held, err := lock.IsHeld(t.Context()); !held || err != nil {
			t.Errorf("the nodes say that it is held: %v, %v", held, err)
		}
		mustUnlock(t, lock)
		wantMatch(t, lock.Err(), redlock.ErrReleased)
		if lock.Valid() || lock.Remaining() != 0 {
			t.Errorf("after Unlock it is valid: %v, %v remain", lock.Valid(), lock.Remaining())
		}
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestALockWithoutExpiryCannotBeExtended(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		m := q.New(t, redlock.Config{})
		lock := mustTry(t, m, resource, redlock.WithNoExpiry())
		wantForGood(t, q, resource)
		for _, err := range []error{
			lock.Extend(t.Context(), 0), lock.Extend(t.Context(), time.Minute),
			m.Extend(t.Context(), lock, time.Minute), lock.ExtendBy(t.Context(), time.Minute),
		} {
			wantMatch(t, err, redlock.ErrNoExpiry)
			wantNoMatch(t, err, redlock.ErrNotHeld, redlock.ErrNoQuorum)
		}
		if asked := w.extends(resource); len(asked) > 0 {
			t.Errorf("the nodes were asked for %q", asked)
		}
		wantForGood(t, q, resource)
		mustUnlock(t, lock)
	})
}

func TestALockWithoutExpiryThatIsRefusedLeavesNothingBehind(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, opts := range [][]redlock.LockOption{{}, {redlock.WithToken("mine")}} {
			resource := q.Resource(t)
			q.Take(t, 2, resource, "someone", time.Minute)
			m := connected(t, q.New(t, redlock.Config{TTL: time.Minute}))
			_, err := m.TryLock(t.Context(), resource, append(opts, redlock.WithNoExpiry())...)
			wantMatch(t, err, redlock.ErrTaken)
			settled(t, m)
			q.WantValues(t, resource, 5*time.Second, "someone", "someone", "")
		}
	})
}
