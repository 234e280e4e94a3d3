package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

func TestIsLockedIsWhatAMajoritySaysOrThatItCannotBeSaid(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		for _, c := range []struct {
			taken, dead int // the first nodes, and the last ones
			locked      bool
			err         error
		}{
			{0, 0, false, nil},
			{2, 0, false, nil},
			{3, 0, true, nil},
			{5, 0, true, nil},
			{0, 2, false, nil},
			{1, 2, false, redlock.ErrNoQuorum},
			{2, 2, false, redlock.ErrNoQuorum},
			{3, 2, true, nil},
			{5, 2, true, nil},
			{1, 1, false, nil},
			{2, 1, false, redlock.ErrNoQuorum},
			{0, 3, false, redlock.ErrNoQuorum},
			{5, 3, false, redlock.ErrNoQuorum},
			{0, 5, false, redlock.ErrNoQuorum},
		} {
			q.part(t, fmt.Sprintf("%d of 5 have it, %d are dead", c.taken, c.dead), func(t *testing.T) {
				resource := q.Resource(t)
				q.Take(t, c.taken, resource, "someone", time.Minute)
				down(proxies[5-c.dead:]...)
				locked, err := q.New(t, redlock.Config{}).IsLocked(t.Context(), resource)
				if locked != c.locked || !errors.Is(err, c.err) {
					t.Errorf("%d of 5 nodes have it, %d are dead: %v, %v", c.taken, c.dead, locked, err)
				}
				heal(t, proxies[5-c.dead:]...)
			})
		}
	})
}

func TestIsLockedEndsWithinANodeTimeoutBeforeASilentMajority(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := connected(t, q.New(t, brief))
		mute(proxies[:2]...)
		start := time.Now()
		locked, err := m.IsLocked(t.Context(), q.Resource(t))
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, context.DeadlineExceeded)
		if took := time.Since(start); locked || took > nodeTimeout+soon {
			t.Errorf("it said %v after %v", locked, took)
		}
		heal(t, proxies[:2]...)
	})
}

func TestIsLockedCountsWhateverStandsAtTheKey(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		for _, put := range [][]any{
			{"SET"}, {"SET", ""}, {"RPUSH", "a"}, {"HSET", "field", "value"}, {"SADD", "a"},
		} {
			resource := q.Resource(t)
			command := append([]any{put[0], resource}, put[1:]...)
			if len(put) == 1 {
				command = append(command, "someone")
			}
			for _, s := range q.Servers[:2] {
				if err := s.Client.Do(t.Context(), command...).Err(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Client.Del(context.Background(), resource) })
			}
			if err := checkLocked(m, resource, true); err != nil {
				t.Errorf("after %v: %v", command, err)
			}
			_, err := m.TryLock(t.Context(), resource)
			wantMatch(t, err, redlock.ErrTaken)
		}
	})
}

func TestIsLockedFollowsALockFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		m, other := q.New(t, redlock.Config{}), q.New(t, redlock.Config{})
		bothWant := func(want bool) {
			t.Helper()
			wantLocked(t, m, resource, want)
			wantLocked(t, other, resource, want)
		}
		bothWant(false)
		lock := mustTry(t, m, resource)
		bothWant(true)
		mustUnlock(t, lock)
		bothWant(false)
		q.Take(t, 3, resource, "someone", 3*time.Second)
		bothWant(true)
		q.WantFree(t, resource, 20*time.Second)
		bothWant(false)
	})
}

func TestIsHeldIsConfirmedByAMajority(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{}), resource, redlock.WithTTL(time.Minute))
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		until := lock.Until()
		for _, harm := range []func(){
			func() {},
			func() { q.Servers[0].Client.Del(t.Context(), resource) },
			func() { q.Take(t, 1, resource, "thief", time.Minute) },
			func() { heal(t, proxies[0]); proxies[0].Down() },
		} {
			harm()
			if held, err := lock.IsHeld(t.Context()); !held || err != nil {
				t.Errorf("two of three nodes keep it, it is held: %v, %v", held, err)
			}
		}
		if !lock.Valid() || lock.Until() != until {
			t.Errorf("to ask has changed it: %v, until %v, before %v", lock.Err(), lock.Until(), until)
		}
		heal(t, proxies[0])
		mustUnlock(t, lock)
	})
}

func TestIsHeldWithoutAQuorumSaysSoAndEndsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(...*proxy.Proxy)
	}{{"dead", down}, {"silent", mute}} {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				proxies, resource := q.Proxies(t), q.Resource(t)
				m := q.New(t, redlock.Config{NodeTimeout: time.Second})
				lock := mustTry(t, m, resource, redlock.WithTTL(time.Minute))
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				c.harm(proxies[0])
				q.Servers[2].Client.Del(t.Context(), resource)
				held, err := lock.IsHeld(t.Context())
				wantMatch(t, err, redlock.ErrNoQuorum)
				wantNoMatch(t, err, redlock.ErrNotHeld, context.DeadlineExceeded)
				if held || !lock.Valid() || isDone(lock.Done()) {
					t.Errorf("it is held: %v, its Err is %v", held, lock.Err())
				}
				heal(t, proxies[0])
				eventually(t, 15*time.Second, func() error {
					held, err := lock.IsHeld(t.Context())
					if err == nil && !held {
						return errors.New("it is not held")
					}
					return err
				})
				mustUnlock(t, lock)
			})
		})
	}
}
