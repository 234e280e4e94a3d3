package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// endings are the ways in which a lock can be over.
var endings = []struct {
	name string
	ttl  time.Duration
	end  func(t *testing.T, q *Quorum, lock *redlock.Lock)
	err  error
}{
	{"released", time.Minute, func(t *testing.T, _ *Quorum, lock *redlock.Lock) {
		mustUnlock(t, lock)
	}, redlock.ErrReleased},
	{"expired", 3 * time.Second, func(t *testing.T, _ *Quorum, lock *redlock.Lock) {
		awaitEnd(t, lock)
	}, redlock.ErrExpired},
	{"lost", time.Minute, func(t *testing.T, q *Quorum, lock *redlock.Lock) {
		for _, s := range q.Servers {
			if err := s.Client.Del(t.Context(), lock.Resource()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		wantMatch(t, lock.Extend(t.Context(), 0), redlock.ErrLost)
	}, redlock.ErrLost},
}

func TestALockThatIsOverIsNotExtendedAndNoNodeIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range endings {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				w, resource := tap(t, q), q.Resource(t)
				m := q.New(t, redlock.Config{TTL: time.Minute})
				lock := mustTry(t, m, resource, redlock.WithTTL(c.ttl))
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				c.end(t, q, lock)
				q.WantFree(t, resource, 5*time.Second)
				q.Take(t, 1, resource, "next", time.Minute)
				settled(t, m)
				asked := len(w.extends(resource))
				for _, err := range []error{
					lock.Extend(t.Context(), 0), lock.Extend(t.Context(), time.Minute),
					m.Extend(t.Context(), lock, time.Minute), lock.ExtendBy(t.Context(), time.Minute),
				} {
					wantMatch(t, err, c.err, redlock.ErrNotHeld)
					wantNoMatch(t, err, redlock.ErrNoQuorum)
				}
				if held, err := lock.IsHeld(t.Context()); held || !errors.Is(err, c.err) {
					t.Errorf("it is held: %v, %v", held, err)
				}
				settled(t, m)
				if more := w.extends(resource)[asked:]; len(more) > 0 {
					t.Errorf("the nodes were asked for %q", more)
				}
				q.WantValues(t, resource, 5*time.Second, "next", "", "")
				if lock.Valid() || !errors.Is(lock.Err(), c.err) {
					t.Errorf("it is valid: %v, %v", lock.Valid(), lock.Err())
				}
			})
		})
	}
}

func TestAnExtendThatFindsNoQuorumLeavesTheLockAsItWas(t *testing.T) {
	t.Parallel()
	taken := func(t *testing.T, q *Quorum, p []*proxy.Proxy, key string) {
		q.Take(t, 1, key, "thief", time.Minute)
		down(p[2])
	}
	for _, c := range []struct {
		name string
		harm func(*testing.T, *Quorum, []*proxy.Proxy, string)
	}{
		{"a dead majority", func(_ *testing.T, _ *Quorum, p []*proxy.Proxy, _ string) { down(p[:2]...) }},
		{"a silent majority", func(_ *testing.T, _ *Quorum, p []*proxy.Proxy, _ string) { mute(p[:2]...) }},
		{"one node that has lost it and one that is dead", taken},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				proxies, resource := q.Proxies(t), q.Resource(t)
				m := q.New(t, redlock.Config{NodeTimeout: time.Second})
				lock := mustTry(t, m, resource, redlock.WithTTL(30*time.Second))
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				until := lock.Until()
				c.harm(t, q, proxies, resource)
				start := time.Now()
				for _, err := range []error{lock.Extend(t.Context(), time.Hour), lock.ExtendBy(t.Context(), time.Hour)} {
					wantMatch(t, err, redlock.ErrNoQuorum)
					wantNoMatch(t, err, redlock.ErrNotHeld, context.DeadlineExceeded)
				}
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("two Extends took %v, with a node timeout of 1s", took)
				}
				if !lock.Valid() || lock.Err() != nil || lock.Until() != until {
					t.Errorf("it ends at %v, before at %v: %v", lock.Until(), until, lock.Err())
				}
				heal(t, proxies...)
				eventually(t, 15*time.Second, func() error { return lock.Extend(t.Context(), time.Minute) })
				if !lock.Until().After(until) {
					t.Errorf("it ends at %v after an Extend that succeeded", lock.Until())
				}
				mustUnlock(t, lock)
			})
		})
	}
}

func TestALockThatCannotBeExtendedEndsAtItsOldEnd(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := q.New(t, redlock.Config{NodeTimeout: 500 * time.Millisecond})
		lock := mustTry(t, m, resource, redlock.WithTTL(3*time.Second))
		until := lock.Until()
		down(proxies[:2]...)
		wantMatch(t, lock.Extend(t.Context(), time.Minute), redlock.ErrNoQuorum)
		awaitEnd(t, lock)
		if now := time.Now(); now.Before(until) || lock.Until() != until {
			t.Errorf("it has ended at %v, its end is %v, before it was %v", now, lock.Until(), until)
		}
		wantMatch(t, lock.Err(), redlock.ErrExpired)
		heal(t, proxies...)
		q.WantFree(t, resource, 60*time.Second)
	})
}

// A majority "not ours" is so many that a majority can no longer be ours: two of
// three, and two of four.
func TestALockThatAMajorityDoesNotKeepIsLostWhenItIsExtended(t *testing.T) {
	isHeld := func(ctx context.Context, l *redlock.Lock) error {
		held, err := l.IsHeld(ctx)
		if held {
			return errors.New("it is said to be held")
		}
		return err
	}
	extend := func(ctx context.Context, l *redlock.Lock) error { return l.Extend(ctx, 0) }
	for _, c := range []struct {
		name   string
		nodes  int
		thief  string // empty: the keys are gone
		extend func(ctx context.Context, lock *redlock.Lock) error
	}{
		{"taken by another", 3, "thief", extend},
		{"taken by another on two of four nodes", 4, "thief", extend},
		{"taken by another, by IsHeld", 3, "thief", isHeld},
		{"taken by another on two of four nodes, by IsHeld", 4, "thief", isHeld},
		{"gone", 3, "", func(ctx context.Context, l *redlock.Lock) error { return l.Extend(ctx, time.Hour) }},
		{"gone, by ExtendBy", 3, "", func(ctx context.Context, l *redlock.Lock) error { return l.ExtendBy(ctx, time.Hour) }},
		{"gone, by IsHeld", 3, "", isHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			rowsOn(t, c.nodes, func(t *testing.T, q *Quorum) {
				resource := q.Resource(t)
				lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				q.Take(t, 2, resource, c.thief, time.Minute)
				if c.thief == "" {
					for _, s := range q.Servers[:2] {
						s.Client.Del(t.Context(), resource)
					}
				}
				err := c.extend(t.Context(), lock)
				wantMatch(t, err, redlock.ErrLost, redlock.ErrNotHeld)
				wantNoMatch(t, err, redlock.ErrNoQuorum)
				wantOver(t, lock, redlock.ErrLost)
				// What still stands of it is taken back, and nothing else.
				q.WantValues(t, resource, 5*time.Second, []string{c.thief, c.thief, "", ""}[:c.nodes]...)
			})
		})
	}
}

func TestAnExtendWhoseContextEndsLeavesTheLockAsItWas(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{}), resource, redlock.WithTTL(time.Minute))
		until := lock.Until()
		mute(proxies[:2]...)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		wantMatch(t, lock.Extend(ctx, time.Hour), redlock.ErrNoQuorum, context.DeadlineExceeded)
		if !lock.Valid() || lock.Until() != until {
			t.Errorf("it ends at %v, before at %v: %v", lock.Until(), until, lock.Err())
		}
		heal(t, proxies[:2]...)
		eventually(t, 15*time.Second, func() error { return lock.Extend(t.Context(), time.Hour) })
		mustUnlock(t, lock)
	})
}

func TestAnswersThatComeAfterTheEndReviveNothing(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{NodeTimeout: 9 * time.Second}))
		lock := mustTry(t, m, resource, redlock.WithTTL(1500*time.Millisecond))
		until := lock.Until()
		for _, p := range proxies {
			p.Delay(proxy.ToClient, 1800*time.Millisecond)
		}
		if err := lock.Extend(t.Context(), time.Minute); err == nil {
			t.Error("it was extended after its end")
		}
		time.Sleep(time.Until(until.Add(2500 * time.Millisecond))) // by now the answers are here
		wantMatch(t, lock.Err(), redlock.ErrExpired)
		if lock.Valid() || lock.Until() != until {
			t.Errorf("it is valid: %v, until %v", lock.Valid(), lock.Until())
		}
		q.WantFree(t, resource, 5*time.Second)
	})
}
