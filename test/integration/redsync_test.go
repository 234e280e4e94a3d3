package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"

	"github.com/redlock-go/redlock/redlock"
)

// Redsync is another library of the same algorithm. Both must be able to lock the
// same resources on the same nodes: programs are changed over one by one.

// redsyncMutex is redsync's lock of a resource on the nodes of q.
func redsyncMutex(q *Quorum, resource string, expiry time.Duration) *redsync.Mutex {
	var pools []redsyncredis.Pool
	for _, s := range q.Servers {
		pools = append(pools, goredis.NewPool(s.Client))
	}
	// A twentieth of the expiry, its default, is little on a busy machine.
	return redsync.New(pools...).NewMutex(resource, redsync.WithExpiry(expiry), redsync.WithTimeoutFactor(0.5))
}

func TestRedsyncIsRefusedWhileWeHoldTheLock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		mutex := redsyncMutex(q, resource, time.Minute)
		var taken *redsync.ErrTaken
		if err := mutex.TryLockContext(t.Context()); !errors.As(err, &taken) {
			t.Errorf("redsync got %v", err)
		}
		q.WantEverywhere(t, resource, lock.Token(), 0) // it has cleaned up after itself, and only that
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		q.WantFree(t, resource, time.Second)
		if err := mutex.TryLockContext(t.Context()); err != nil {
			t.Errorf("redsync is refused after the unlock: %v", err)
		}
		_, _ = mutex.UnlockContext(t.Context())
	})
}

func TestWeAreRefusedWhileRedsyncHoldsTheLock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t)
		mutex := redsyncMutex(q, resource, time.Minute)
		if err := mutex.TryLockContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		connected(t, m) // every node has answered what was sent before
		q.WantEverywhere(t, resource, mutex.Value(), 0)
		if ok, err := mutex.UnlockContext(t.Context()); !ok {
			t.Errorf("redsync has lost its lock: %v", err)
		}
		mustTry(t, m, resource)
	})
}

func TestRedsyncDoesNotReleaseAKeyThatIsOurs(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		mutex := redsyncMutex(q, resource, time.Second)
		if err := mutex.TryLockContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.WantFree(t, resource, 5*time.Second) // it has expired
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		if ok, _ := mutex.UnlockContext(t.Context()); ok {
			t.Error("redsync says that it has unlocked")
		}
		if held, err := lock.IsHeld(t.Context()); !held || err != nil {
			t.Errorf("held: %v, %v", held, err)
		}
		q.WantEverywhere(t, resource, lock.Token(), 0)
	})
}

func TestWeDoNotReleaseAKeyThatIsRedsyncs(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		m := q.New(t, redlock.Config{TTL: 200 * time.Millisecond})
		lock := mustTry(t, m, resource)
		awaitEnd(t, lock)
		q.WantFree(t, resource, 5*time.Second)
		mutex := redsyncMutex(q, resource, time.Minute)
		if err := mutex.TryLockContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantMatch(t, lock.Unlock(t.Context()), redlock.ErrExpired)
		wantMatch(t, lock.Extend(t.Context(), time.Minute), redlock.ErrExpired)
		connected(t, m) // every node has answered what was sent before
		q.WantEverywhere(t, resource, mutex.Value(), 0)
		if ok, err := mutex.UnlockContext(t.Context()); !ok {
			t.Errorf("redsync has lost its lock: %v", err)
		}
	})
}

// stay is a time in which a contender believed that it held the lock.
type stay struct {
	by       string
	from, to time.Time
}

// contender tries once to take the lock. It returns the end of the validity and
// how to release, or no release if somebody else was first.
type contender func(ctx context.Context) (until time.Time, release func())

func (q *Quorum) redlockContender(t *testing.T, resource string, ttl time.Duration) contender {
	m := q.New(t, redlock.Config{TTL: ttl, NodeTimeout: ttl / 2})
	return func(ctx context.Context) (time.Time, func()) {
		lock, err := m.TryLock(ctx, resource)
		if err != nil {
			return time.Time{}, nil
		}
		return lock.Until(), func() { _ = lock.Unlock(context.Background()) }
	}
}

func (q *Quorum) redsyncContender(resource string, ttl time.Duration) contender {
	return func(ctx context.Context) (time.Time, func()) {
		mutex := redsyncMutex(q, resource, ttl)
		if mutex.TryLockContext(ctx) != nil {
			return time.Time{}, nil
		}
		return mutex.Until(), func() { _, _ = mutex.UnlockContext(context.Background()) }
	}
}

// contend takes the lock again and again until ctx ends. One time in four it
// stays until its validity is over.
func contend(ctx context.Context, by string, take contender) (stays []stay) {
	for ctx.Err() == nil {
		if until, release := take(ctx); release != nil {
			from := time.Now()
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			if rand.IntN(4) == 0 {
				time.Sleep(time.Until(until))
			}
			to := time.Now()
			if until.Before(to) {
				to = until
			}
			release()
			stays = append(stays, stay{by, from, to})
		}
		time.Sleep(time.Duration(10+rand.IntN(50)) * time.Millisecond)
	}
	return stays
}

func TestNoTwoHoldersOverlapWhereRedsyncAndThisLibraryContend(t *testing.T) {
	t.Parallel()
	const ttl, workers = 400 * time.Millisecond, 3
	rows(t, func(t *testing.T, q *Quorum) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		resource := q.Resource(t)
		contenders := map[string]contender{
			"redlock": q.redlockContender(t, resource, ttl),
			"redsync": q.redsyncContender(resource, ttl),
		}
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			stays []stay
		)
		for by, take := range contenders {
			for range workers {
				all.Go(func() {
					mine := contend(ctx, by, take)
					mu.Lock()
					defer mu.Unlock()
					stays = append(stays, mine...)
				})
			}
		}
		all.Wait()
		for _, overlap := range overlaps(slices.Clone(stays)) {
			t.Error(overlap)
		}
		for by := range contenders {
			won := 0
			for _, s := range stays {
				if s.by == by {
					won++
				}
			}
			t.Logf("%s has won %d times", by, won)
			if won < 5 {
				t.Errorf("%s has won only %d times", by, won)
			}
		}
	})
}

// overlaps says in words which stays began before another had ended.
func overlaps(stays []stay) (found []string) {
	stays = slices.DeleteFunc(stays, func(s stay) bool { return !s.from.Before(s.to) })
	slices.SortFunc(stays, func(a, b stay) int { return a.from.Compare(b.from) })
	for i := 1; i < len(stays); i++ {
		if last, s := stays[i-1], stays[i]; s.from.Before(last.to) {
			found = append(found, fmt.Sprintf("%s came %v before %s had to leave", s.by, last.to.Sub(s.from), last.by))
		}
	}
	return found
}

func TestAnOverlapOfTwoHoldersIsSeen(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name  string
		stays []stay
		want  bool
	}{
		{"one after the other", []stay{{"b", at(5), at(9)}, {"a", at(0), at(5)}}, false},
		{"one within the other", []stay{{"a", at(0), at(9)}, {"b", at(2), at(3)}}, true},
		{"one a little too early", []stay{{"b", at(4), at(9)}, {"a", at(0), at(5)}}, true},
		{"one that was over before it knew", []stay{{"a", at(0), at(5)}, {"b", at(3), at(3)}}, false},
	} {
		if got := len(overlaps(c.stays)) > 0; got != c.want {
			t.Errorf("%s: an overlap is seen: %v", c.name, got)
		}
	}
}
