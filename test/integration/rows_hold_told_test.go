package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// isDone reports whether done is closed.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestTheHolderIsToldThatTheLockIsOverAndWhy(t *testing.T) {
	t.Parallel()
	for _, c := range endings {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				resource := q.Resource(t)
				lock := mustTry(t, q.New(t, redlock.Config{}), resource, redlock.WithTTL(c.ttl))
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				ctx := lock.Context(t.Context())
				if isDone(lock.Done()) || isDone(ctx.Done()) || lock.Err() != nil || ctx.Err() != nil {
					t.Errorf("it is held, and over: %v, its context: %v", lock.Err(), ctx.Err())
				}
				c.end(t, q, lock)
				wantMatch(t, lock.Err(), c.err, redlock.ErrNotHeld)
				for _, other := range endings {
					if other.err != c.err {
						wantNoMatch(t, lock.Err(), other.err)
					}
				}
				if !isDone(lock.Done()) {
					t.Error("it is not done")
				}
				for _, ctx := range []context.Context{ctx, lock.Context(t.Context())} {
					awaitEnd(t, ctx)
					wantMatch(t, ctx.Err(), context.Canceled)
					wantMatch(t, context.Cause(ctx), c.err)
				}
			})
		})
	}
}

func TestDoneAndContextEndByALocalTimerWhateverTheNetworkDoes(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := connected(t, q.New(t, redlock.Config{NodeTimeout: 500 * time.Millisecond}))
		plain := mustTry(t, m, q.Resource(t), redlock.WithTTL(2*time.Second))
		extended := mustTry(t, m, q.Resource(t), redlock.WithTTL(2*time.Second))
		if err := extended.ExtendBy(t.Context(), 2*time.Second); err != nil {
			t.Fatal(err)
		}
		mute(proxies...)
		for _, lock := range []*redlock.Lock{plain, extended} {
			ctx, until := lock.Context(t.Context()), lock.Until()
			awaitEnd(t, lock)
			if late := time.Since(until); late < 0 || late > 2*time.Second {
				t.Errorf("it is done %v after its end", late)
			}
			awaitEnd(t, ctx)
			wantMatch(t, context.Cause(ctx), redlock.ErrExpired)
			wantMatch(t, lock.Err(), redlock.ErrExpired)
		}
		heal(t, proxies...)
	})
}

func TestAContextOfALockIsItsParentThatEndsEarlier(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		type key struct{}
		reason := errors.New("enough")
		lock := mustTry(t, q.New(t, redlock.Config{}), q.Resource(t))
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		parent, stop := context.WithTimeout(parent, time.Hour)
		defer stop()
		ctx := lock.Context(parent)
		want, _ := parent.Deadline()
		if got, ok := ctx.Deadline(); !ok || !got.Equal(want) || ctx.Value(key{}) != "value" {
			t.Errorf("it ends at %v, its value is %v", got, ctx.Value(key{}))
		}
		cancel(reason)
		awaitEnd(t, ctx)
		wantMatch(t, context.Cause(ctx), reason)
		if !lock.Valid() || isDone(lock.Done()) {
			t.Errorf("the lock has ended with it: %v", lock.Err())
		}
		mustUnlock(t, lock)
	})
}

func TestALockThatIsFoundOverIsDone(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := connected(t, q.New(t, redlock.Config{}))
		lock := mustTry(t, m, q.Resource(t), redlock.WithTTL(1500*time.Millisecond))
		time.Sleep(time.Until(lock.Until()) - 5*time.Millisecond)
		for lock.Err() == nil {
		}
		if !isDone(lock.Done()) {
			t.Error("it has an Err and is not done")
		}
	})
}

// The holders are cut off, so that nothing but the TTL on the nodes ends what
// they hold there.
func TestNobodyGetsALockWhileItsHolderTakesItForValid(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		contender := connected(t, q.New(t, redlock.Config{}))
		proxies := q.Proxies(t)
		m := connected(t, q.New(t, redlock.Config{NodeTimeout: 500 * time.Millisecond}))
		locks := make([]*redlock.Lock, 4)
		for i := range locks {
			locks[i] = mustTry(t, m, q.Resource(t), redlock.WithTTL(3*time.Second))
		}
		mute(proxies...)
		sideBySide(t, len(locks), func(i int) bool {
			var next *redlock.Lock
			eventually(t, 20*time.Second, func() (err error) {
				next, err = contender.TryLock(t.Context(), locks[i].Resource(), redlock.WithTTL(time.Minute))
				return err
			})
			if locks[i].Valid() || locks[i].Err() == nil || !isDone(locks[i].Done()) {
				t.Error("two hold the lock")
			}
			mustUnlock(t, next)
			return true
		})
		heal(t, proxies...)
	})
}
