package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// wantUntil fails unless lock ends when a question for ttl, less, was put between
// two moments. There is no tolerance in it: the start lies between them.
func wantUntil(t testing.TB, lock *redlock.Lock, ttl, less time.Duration, from, to time.Time) {
	t.Helper()
	if until := lock.Until(); until.Before(from.Add(ttl-less)) || until.After(to.Add(ttl-less)) {
		t.Errorf("it ends at %v, want between %v and %v", until, from.Add(ttl-less), to.Add(ttl-less))
	}
}

// driftOf is what the default configuration takes off a TTL.
func driftOf(ttl time.Duration) time.Duration { return ttl/100 + 2*time.Millisecond }

func TestTheValidityIsTheTTLLessTheTimeThatPassedTheDriftAndTheMargin(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, c := range []struct {
			cfg  redlock.Config
			ttl  time.Duration
			less time.Duration
		}{
			{redlock.Config{}, 10 * time.Second, 102 * time.Millisecond},
			{redlock.Config{TTL: time.Minute}, time.Minute, 602 * time.Millisecond},
			{redlock.Config{Margin: 3 * time.Second}, 10 * time.Second, 3102 * time.Millisecond},
			{redlock.Config{DriftFactor: 0.25}, 10 * time.Second, 2502 * time.Millisecond},
		} {
			m := q.New(t, c.cfg)
			from := time.Now()
			lock := mustTry(t, m, q.Resource(t))
			to := time.Now()
			wantUntil(t, lock, c.ttl, c.less, from, to)
			// Remaining goes by the clock that says less, and the two run apart.
			most := time.Until(lock.Until())
			if left := lock.Remaining(); left > most || left < time.Until(lock.Until())-time.Second {
				t.Errorf("%v remain until %v", left, lock.Until())
			}
			mustUnlock(t, lock)
		}
	})
}

func TestTheTimeThatTheNodesTakeIsNotPartOfTheValidity(t *testing.T) {
	const delay = 700 * time.Millisecond
	for _, c := range []struct {
		name   string
		before func(testing.TB, *redlock.Manager) *redlock.Manager
		least  time.Duration // that passes from the start on
	}{
		{"with connections", connected, delay},
		{"without connections", func(_ testing.TB, m *redlock.Manager) *redlock.Manager { return m }, 2 * delay},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				m := c.before(t, q.New(t, redlock.Config{NodeTimeout: 9 * time.Second}))
				for _, p := range proxies {
					p.Handle(func(m proxy.Message) proxy.Action {
						if m.Name == "INFO" || m.Name == "SET" { // INFO is a part of connecting
							p.Delay(proxy.ToClient, delay)
						}
						return proxy.Pass
					})
				}
				lock := mustTry(t, m, q.Resource(t))
				if left, most := lock.Remaining(), 10*time.Second-driftOf(10*time.Second)-c.least; left > most {
					t.Errorf("%v remain, more than %v", left, most)
				}
				mustUnlock(t, lock)
			})
		})
	}
}

func TestALockWhoseAnswersComeAfterItsEndIsNotTaken(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{NodeTimeout: 9 * time.Second}))
		for _, p := range proxies {
			p.Delay(proxy.ToClient, 1200*time.Millisecond)
		}
		lock, err := m.TryLock(t.Context(), resource, redlock.WithTTL(time.Second))
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrTaken)
		if lock != nil {
			t.Errorf("it was taken until %v", lock.Until())
		}
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestTheValidityIsKnownWithoutAskingAnyone(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{TTL: time.Minute}))
		lock := mustTry(t, m, resource)
		settled(t, m)
		sent := len(w.about(resource))
		start, left := time.Now(), lock.Remaining()
		for range 1000 {
			if !lock.Valid() || lock.Err() != nil || isDone(lock.Done()) {
				t.Fatalf("it has ended: %v", lock.Err())
			}
			_, _ = lock.Until(), lock.TTL()
			now := lock.Remaining()
			if now > left {
				t.Fatalf("%v remained, then %v", left, now)
			}
			left = now
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("1000 looks took %v", took)
		}
		settled(t, m)
		if n := len(w.about(resource)) - sent; n != 0 {
			t.Errorf("the nodes were sent %d commands", n)
		}
		down(w.proxies...) // without a node it is known as well
		if !lock.Valid() || lock.Err() != nil || lock.Remaining() <= 0 {
			t.Errorf("with no node it is over: %v", lock.Err())
		}
		heal(t, w.proxies...)
	})
}

// The moment is met by looking all the time: a look that began after the end and
// finds the lock valid is wrong.
func TestFromItsEndOnALockIsNeverValidAgain(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := connected(t, q.New(t, redlock.Config{}))
		lock := mustTry(t, m, q.Resource(t), redlock.WithTTL(1500*time.Millisecond))
		until := lock.Until()
		if !lock.Valid() && time.Until(until) > time.Second {
			t.Errorf("it has ended long before its end: %v", lock.Err())
		}
		time.Sleep(time.Until(until) - 5*time.Millisecond)
		for end := until.Add(20 * time.Millisecond); ; {
			began := time.Now()
			if lock.Valid() && !began.Before(until) {
				t.Fatalf("it is valid %v after its end", began.Sub(until))
			}
			if began.After(end) {
				break
			}
		}
		wantMatch(t, lock.Err(), redlock.ErrExpired, redlock.ErrNotHeld)
		if lock.Remaining() != 0 || lock.Until() != until {
			t.Errorf("after its end %v remain until %v, it was %v", lock.Remaining(), lock.Until(), until)
		}
	})
}

func TestValidIsWhatIsKnownHereAndNotWhatTheNodesKnow(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		q.Take(t, 3, resource, "thief", time.Minute)
		sent := len(w.about(resource))
		if !lock.Valid() || lock.Err() != nil {
			t.Errorf("nobody has told it, and it has ended: %v", lock.Err())
		}
		if n := len(w.about(resource)); n != sent {
			t.Errorf("the nodes were sent %d commands", n-sent)
		}
		wantMatch(t, lock.Unlock(t.Context()), redlock.ErrLost)
		if lock.Valid() {
			t.Error("it is valid after Unlock")
		}
	})
}

func TestTheTokenOfALockIsWhatTheNodesKeep(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{KeyPrefix: "lock:", Owner: "me"})
		seen := map[string]bool{}
		for i, opts := range [][]redlock.LockOption{
			{}, {}, {redlock.WithToken("mine")}, {redlock.WithNoExpiry()},
		} {
			resource := fmt.Sprintf("%s %d", q.Resource(t), i)
			lock := mustTry(t, m, resource, opts...)
			token := lock.Token()
			q.WantEverywhere(t, "lock:"+resource, token, 5*time.Second)
			if token == "" || seen[token] {
				t.Errorf("lock %d has the token %q", i, token)
			}
			seen[token] = true
			if err := lock.Extend(t.Context(), 0); err != nil && !errors.Is(err, redlock.ErrNoExpiry) {
				t.Error(err)
			}
			mustUnlock(t, lock)
			if lock.Token() != token {
				t.Errorf("after Unlock it is %q", lock.Token())
			}
		}
	})
}
