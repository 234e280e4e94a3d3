package integration

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// wantTTL fails unless every server keeps key for ttl, up to some
// seconds that may have passed.
func wantTTL(t testing.TB, q *Quorum, key string, ttl time.Duration) {
	t.Helper()
	for _, s := range q.Servers {
		left, err := s.Client.PTTL(t.Context(), key).Result()
		if err != nil || left > ttl || left < ttl-5*time.Second {
			t.Errorf("%s keeps %q for %v, want %v (%v)", s.Addr, key, left, ttl, err)
		}
	}
}

func TestALockHasTheTTLOfItsManagerUnlessItNamesOne(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, c := range []struct {
			config time.Duration
			option []redlock.LockOption
			want   time.Duration
		}{
			{0, nil, 10 * time.Second},
			{40 * time.Second, nil, 40 * time.Second},
			{40 * time.Second, []redlock.LockOption{redlock.WithTTL(90 * time.Second)}, 90 * time.Second},
			{0, []redlock.LockOption{redlock.WithTTL(90 * time.Second)}, 90 * time.Second},
			{40 * time.Second, []redlock.LockOption{redlock.WithTTL(0)}, 40 * time.Second},
			{0, []redlock.LockOption{redlock.WithTTL(20 * time.Second), redlock.WithToken("mine")}, 20 * time.Second},
		} {
			resource := q.Resource(t)
			lock := mustTry(t, q.New(t, redlock.Config{TTL: c.config}), resource, c.option...)
			if lock.TTL() != c.want {
				t.Errorf("its TTL is %v, want %v", lock.TTL(), c.want)
			}
			q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
			wantTTL(t, q, resource, c.want)
			mustUnlock(t, lock)
		}
	})
}

func TestATTLIsSentInWholeMillisecondsRoundedUp(t *testing.T) {
	const ms = time.Millisecond
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		for _, c := range []struct {
			ttl, want      time.Duration
			sent, extended string
		}{
			{1500 * ms, 1500 * ms, "1500", "11500"},
			{1500*ms + 1, 1501 * ms, "1501", "11501"},
			{1501*ms - 1, 1501 * ms, "1501", "11501"},
		} {
			byConfig := q.New(t, redlock.Config{TTL: c.ttl})
			byOption := q.New(t, redlock.Config{})
			for _, take := range []func(resource string) *redlock.Lock{
				func(resource string) *redlock.Lock { return mustTry(t, byConfig, resource) },
				func(resource string) *redlock.Lock { return mustTry(t, byOption, resource, redlock.WithTTL(c.ttl)) },
			} {
				resource := q.Resource(t)
				lock := take(resource)
				if lock.TTL() != c.want {
					t.Errorf("the TTL of %v is %v, want %v", c.ttl, lock.TTL(), c.want)
				}
				for _, sent := range w.about(resource) {
					if sent.args[0] == "SET" && !slices.Equal(sent.args[4:], []string{"PX", c.sent}) {
						t.Errorf("of a TTL of %v a node was told %q", c.ttl, sent.args[4:])
					}
				}
				if err := lock.Extend(t.Context(), 10*time.Second+c.ttl); err != nil {
					t.Error(err)
				}
				if got := w.extends(resource); len(got) < 2 || got[0] != c.extended {
					t.Errorf("of an Extend to %v the nodes were told %q", 10*time.Second+c.ttl, got)
				}
				mustUnlock(t, lock)
			}
		}
	})
}

func TestATTLThatLeavesNoValidityIsRefusedBeforeAnythingIsSent(t *testing.T) {
	const ms = time.Millisecond
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		for _, c := range []struct {
			cfg redlock.Config
			ttl time.Duration
		}{
			{redlock.Config{}, -1},
			{redlock.Config{}, -time.Hour},
			{redlock.Config{}, 1}, // cut to whole milliseconds it would be none at all
			{redlock.Config{}, 2 * ms},
			{redlock.Config{Margin: time.Second}, 1012 * ms},
			{redlock.Config{Margin: 97 * ms}, 100 * ms},                        // of which the drift takes 3 ms
			{redlock.Config{Margin: time.Second, DriftFactor: 0.5}, 2004 * ms}, // all of it is drift and margin
		} {
			resource := q.Resource(t)
			m := q.New(t, c.cfg)
			_, err := m.TryLock(t.Context(), resource, redlock.WithTTL(c.ttl))
			wantConfigError(t, err, "ttl")
			_, err = m.Lock(t.Context(), resource, redlock.WithTTL(c.ttl))
			wantConfigError(t, err, "ttl")
			_, err = doAsLock(m)(t.Context(), resource, redlock.WithTTL(c.ttl))
			wantConfigError(t, err, "ttl")

			lock := mustTry(t, m, resource)
			until := lock.Until()
			wantConfigError(t, lock.Extend(t.Context(), c.ttl), "ttl")
			if n, asked := len(w.attempts(resource)), w.extends(resource); n != 1 || len(asked) > 0 {
				t.Errorf("with a TTL of %v the nodes were asked: %d times, %q", c.ttl, n-1, asked)
			}
			if !lock.Valid() || lock.Until() != until {
				t.Errorf("a refused Extend has changed the lock: %v until %v, was %v", lock.Err(), lock.Until(), until)
			}
			mustUnlock(t, lock)

			c.cfg.Nodes, c.cfg.TTL = q.Nodes, c.ttl
			_, err = redlock.New(c.cfg)
			wantConfigError(t, err, "ttl")
		}
	})
}

func TestATTLJustAboveDriftAndMarginIsNoMistake(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{Margin: time.Second, DriftFactor: 0.5, TTL: 2006 * time.Millisecond})
		_, err := m.TryLock(t.Context(), q.Resource(t)) // a millisecond is left, and may be too little
		if errors.As(err, new(*redlock.ConfigError)) {
			t.Error(err)
		}
		lock := mustTry(t, q.New(t, redlock.Config{Margin: 97 * time.Millisecond}), q.Resource(t))
		if err := lock.Extend(t.Context(), 101*time.Millisecond); err != nil {
			t.Errorf("a millisecond above drift and margin: %v", err)
		}
		mustUnlock(t, lock)
	})
}
