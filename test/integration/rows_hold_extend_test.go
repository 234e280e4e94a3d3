package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// extender is one way to extend a lock to a TTL.
type extender func(m *redlock.Manager, ctx context.Context, lock *redlock.Lock, ttl time.Duration) error

// extenders are the two ways.
var extenders = []extender{
	(*redlock.Manager).Extend,
	func(_ *redlock.Manager, ctx context.Context, lock *redlock.Lock, ttl time.Duration) error {
		return lock.Extend(ctx, ttl)
	},
}

// lapseIn makes the servers keep key for d only.
func lapseIn(t testing.TB, q *Quorum, key string, d time.Duration) {
	t.Helper()
	for _, s := range q.Servers {
		if found, err := s.Client.PExpire(t.Context(), key, d).Result(); err != nil || !found {
			t.Fatalf("%s has no %q to expire (%v)", s.Addr, key, err)
		}
	}
}

// settled waits until no node has anything more to do for m: each answers in
// order.
func settled(t testing.TB, m *redlock.Manager) { connected(t, m) }

func TestExtendKeepsALockForItsOwnTTLOrAnother(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		const own = 20 * time.Second
		for _, extend := range extenders {
			for _, c := range []struct{ asked, want time.Duration }{
				{0, own}, {own, own}, {50 * time.Second, 50 * time.Second}, {time.Hour, time.Hour},
			} {
				m, resource := q.New(t, redlock.Config{}), q.Resource(t)
				lock := mustTry(t, m, resource, redlock.WithTTL(own))
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				lapseIn(t, q, resource, 8*time.Second)
				old, from := lock.Until(), time.Now()
				if err := extend(m, t.Context(), lock, c.asked); err != nil {
					t.Fatal(err)
				}
				wantUntil(t, lock, c.want, driftOf(c.want), from, time.Now())
				if !lock.Until().After(old) || lock.TTL() != own {
					t.Errorf("it ends at %v, before at %v; its TTL is %v", lock.Until(), old, lock.TTL())
				}
				settled(t, m)
				wantTTL(t, q, resource, c.want)
				mustUnlock(t, lock)
			}
		}
	})
}

func TestALockThatIsExtendedInTimeOutlivesItsTTL(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{}), resource, redlock.WithTTL(3*time.Second))
		first := lock.Until()
		time.Sleep(time.Second)
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if err := lock.ExtendBy(t.Context(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(first.Add(time.Second)))
		if !lock.Valid() {
			t.Errorf("it has ended: %v", lock.Err())
		}
		if isDone(lock.Done()) {
			t.Error("it is done")
		}
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		mustUnlock(t, lock)
	})
}

func TestAnExtendNeverShortensALock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, extend := range extenders {
			m, resource := q.New(t, redlock.Config{}), q.Resource(t)
			lock := mustTry(t, m, resource, redlock.WithTTL(10*time.Second))
			if err := extend(m, t.Context(), lock, time.Minute); err != nil {
				t.Fatal(err)
			}
			until := lock.Until()
			for _, ttl := range []time.Duration{0, 5 * time.Second, 30 * time.Second} {
				if err := extend(m, t.Context(), lock, ttl); err != nil {
					t.Errorf("by %v: %v", ttl, err)
				}
				if lock.Until() != until {
					t.Errorf("by %v it was moved from %v to %v", ttl, until, lock.Until())
				}
			}
			settled(t, m)
			wantTTL(t, q, resource, time.Minute)
			mustUnlock(t, lock)
		}
	})
}

func TestANegativeExtendIsRefusedBeforeAnythingIsSent(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		m := q.New(t, redlock.Config{})
		lock := mustTry(t, m, resource)
		until := lock.Until()
		for _, extend := range extenders {
			wantConfigError(t, extend(m, t.Context(), lock, -1), "ttl")
			wantConfigError(t, extend(m, t.Context(), lock, -time.Hour), "ttl")
		}
		for _, d := range []time.Duration{0, -1, -time.Hour} {
			wantConfigError(t, lock.ExtendBy(t.Context(), d), "d")
		}
		if asked := w.extends(resource); len(asked) > 0 || lock.Until() != until || !lock.Valid() {
			t.Errorf("the nodes were asked for %q; it ends at %v, before at %v", asked, lock.Until(), until)
		}
		mustUnlock(t, lock)
	})
}

func TestExtendByAddsToWhatIsLeft(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, cfg := range []redlock.Config{
			{TTL: 20 * time.Second},
			{TTL: 20 * time.Second, Margin: 5 * time.Second, DriftFactor: 0.2},
		} {
			m, resource := q.New(t, cfg), q.Resource(t)
			lock := mustTry(t, m, resource)
			for range 3 {
				old := lock.Until()
				if err := lock.ExtendBy(t.Context(), 30*time.Second); err != nil {
					t.Fatal(err)
				}
				added := lock.Until().Sub(old)
				if added < 29*time.Second || added > 31*time.Second {
					t.Errorf("30s were asked for, %v added", added)
				}
			}
			if lock.TTL() != cfg.TTL {
				t.Errorf("its TTL is %v", lock.TTL())
			}
			settled(t, m)
			for _, s := range q.Servers {
				from := time.Now()
				left, err := s.Client.PTTL(t.Context(), resource).Result()
				if err != nil || from.Add(left).Before(lock.Until()) {
					t.Errorf("%s keeps it for %v, %v remain (%v)", s.Addr, left, lock.Remaining(), err)
				}
			}
			mustUnlock(t, lock)
		}
	})
}

func TestALockIsExtendedByAMajorityOfTheNodes(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		down(proxies[4])
		q.Take(t, 1, resource, "thief", time.Minute)
		from := time.Now()
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		wantUntil(t, lock, time.Minute, driftOf(time.Minute), from, time.Now())
		heal(t, proxies[4])
		mustUnlock(t, lock)
		q.WantValues(t, resource, 5*time.Second, "thief", "", "", "", "")
	})
}
