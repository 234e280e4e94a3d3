package integration

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// mustResume adopts the lock or ends the test.
func mustResume(
	t testing.TB, m *redlock.Manager, resource, token string, opts ...redlock.LockOption,
) *redlock.Lock {
	t.Helper()
	lock, err := m.Resume(t.Context(), resource, token, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// keep has the nodes keep resource under the token mine, each for so long; 0 is
// for ever, and less than that is for somebody else.
func (q *Quorum) keep(t *testing.T, resource string, ttls ...time.Duration) {
	t.Helper()
	for i, ttl := range ttls {
		only := Quorum{Servers: q.Servers[i : i+1]}
		if ttl < 0 {
			only.Take(t, 1, resource, "another's", time.Minute)
		} else {
			only.Take(t, 1, resource, "mine", ttl)
		}
	}
}

func TestALockOfAProcessThatWasKilledIsResumed(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		h, resource := startHolder(t, "", nodesOf(q)...), q.Resource(t)
		m := newConnected(t, q, redlock.Config{})
		before := h.must(t, order{Do: "TryLock", Resource: resource, TTL: time.Minute})
		q.WantEverywhere(t, resource, before.Token, 5*time.Second)
		if err := h.process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, err := m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		lock := mustResume(t, m, resource, before.Token, redlock.WithTTL(2*time.Minute))
		// The nodes count from when they executed the SET, its sender from before.
		if left := lock.Remaining(); left > before.Remaining+time.Second || left < before.Remaining-20*time.Second {
			t.Errorf("%v are left of %v", left, before.Remaining)
		}
		if held := m.Held(); !slices.Contains(held, lock) || lock.TTL() != 2*time.Minute {
			t.Errorf("the manager holds %v", held)
		}
		if err := lock.Extend(t.Context(), 0); err != nil || lock.Remaining() < time.Minute {
			t.Errorf("extended: %v, %v are left", err, lock.Remaining())
		}
		_, err = m.Resume(t.Context(), resource, before.Token)
		wantMatch(t, err, redlock.ErrAlreadyHeld, redlock.ErrTaken)
		mustUnlock(t, lock)
		q.WantFree(t, resource, 5*time.Second)
		_, err = m.Resume(t.Context(), resource, before.Token)
		wantMatch(t, err, redlock.ErrNotHeld)
	})
}

func TestAResumedLockIsValidForWhatAMajorityKeeps(t *testing.T) {
	const minutes = time.Minute
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		cfg := redlock.Config{DriftFactor: 0.1, Margin: 5 * time.Second}
		for _, c := range []struct {
			kept []time.Duration
			want time.Duration // 0: no expiry
		}{
			{[]time.Duration{10 * minutes, 10 * minutes, 10 * minutes, 10 * minutes, 10 * minutes}, 10 * minutes},
			{[]time.Duration{50 * minutes, 10 * minutes, 40 * minutes, 20 * minutes, 30 * minutes}, 30 * minutes},
			{[]time.Duration{50 * minutes, -1, 40 * minutes, -1, 30 * minutes}, 30 * minutes},
			{[]time.Duration{0, 10 * minutes, 0, 20 * minutes, 30 * minutes}, 30 * minutes},
			{[]time.Duration{0, 10 * minutes, 0, 20 * minutes, 0}, 0},
		} {
			m, resource := newConnected(t, q, cfg), q.Resource(t)
			q.keep(t, resource, c.kept...)
			lock := mustResume(t, m, resource, "mine")
			latest := time.Now().Add(c.want*9/10 - 2*time.Millisecond - 5*time.Second)
			if c.want == 0 {
				if lock.TTL() != 0 || !lock.Until().IsZero() || lock.Remaining() != math.MaxInt64 {
					t.Errorf("%v: got %v", c.kept, lock)
				}
				wantMatch(t, lock.Extend(t.Context(), 0), redlock.ErrNoExpiry)
			} else {
				if until := lock.Until(); until.After(latest) || until.Before(latest.Add(-20*time.Second)) {
					t.Errorf("%v: valid until %v after the latest end", c.kept, until.Sub(latest))
				}
				if lock.TTL() != 10*time.Second {
					t.Errorf("its TTL is %v, not the default", lock.TTL())
				}
			}
			mustUnlock(t, lock)
			for i, ttl := range c.kept {
				if ttl < 0 {
					q.Servers[i].Client.Del(t.Context(), resource)
				}
			}
			q.WantFree(t, resource, 5*time.Second)
		}
	})
}

func TestAResumedLockEndsByItself(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, redlock.Config{})
		short, capped := q.Resource(t), q.Resource(t)
		q.keep(t, short, 5*time.Second, 5*time.Second, time.Minute)
		q.keep(t, capped, time.Minute, time.Minute, time.Minute)
		begun := time.Now()
		locks := []*redlock.Lock{
			mustResume(t, m, short, "mine"), mustResume(t, m, capped, "mine", redlock.WithMaxHold(5*time.Second)),
		}
		if err := locks[1].Extend(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		for _, lock := range locks {
			if lock.Until().After(begun.Add(7 * time.Second)) {
				t.Errorf("it is valid until %v after the Resume", lock.Until().Sub(begun))
			}
			awaitEnd(t, lock)
			wantOver(t, lock, redlock.ErrExpired)
			q.WantFree(t, lock.Resource(), 10*time.Second)
		}
	})
}

func TestResumeOfWhatAMajorityDoesNotKeepIsNotHeld(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, redlock.Config{})
		for name, kept := range map[string][]time.Duration{
			"free": nil, "on a minority": {time.Minute}, "another's": {-1, -1, time.Minute},
		} {
			resource := q.Resource(t)
			q.keep(t, resource, kept...)
			left := q.Values(t, resource)
			_, err := m.Resume(t.Context(), resource, "mine")
			wantMatch(t, err, redlock.ErrNotHeld)
			wantNoMatch(t, err, redlock.ErrNoQuorum, redlock.ErrExpired)
			settled(t, m)
			if now := q.Values(t, resource); !slices.Equal(now, left) {
				t.Errorf("%s: the servers had %q and have %q", name, left, now)
			}
		}
		resource := q.Resource(t)
		q.keep(t, resource, time.Minute, time.Minute, time.Minute)
		_, err := q.New(t, redlock.Config{TTL: 10 * time.Minute, Margin: 2 * time.Minute}).
			Resume(t.Context(), resource, "mine")
		wantMatch(t, err, redlock.ErrExpired, redlock.ErrNotHeld)
	})
}

func TestResumeHasNoQuorumWhereMissingAnswersCouldChangeIt(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		split, lost := e.Resource(t), e.Resource(t)
		e.keep(t, split, time.Minute, -1, time.Minute)
		e.keep(t, lost, -1, -1, time.Minute)
		e.cutOff(2)
		_, err := e.m.Resume(t.Context(), split, "mine")
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrNotHeld)
		_, err = e.m.Resume(t.Context(), lost, "mine") // whatever the dead node has
		wantMatch(t, err, redlock.ErrNotHeld)
	})
}

func TestResumeWaitsForAllNodesANodeTimeoutAtMostAndItsReleaseReachesThemAll(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		taken := mustTry(t, e.New(t, redlock.Config{TTL: time.Minute}), e.Resource(t))
		e.WantEverywhere(t, taken.Resource(), taken.Token(), 10*time.Second)
		e.holdReplies("EVALSHA", 2)
		var lock *redlock.Lock
		took := timed(func() { lock = mustResume(t, e.m, taken.Resource(), taken.Token()) })
		if took < nodeTimeout/2 || took > nodeTimeout+soon {
			t.Errorf("it took %v", took)
		}
		e.mend(t)
		mustUnlock(t, lock)
		e.WantFree(t, lock.Resource(), 20*time.Second)
	})
}

func TestATokenThatCannotBeResumedIsRefused(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		for _, token := range badTokens {
			_, err := e.m.Resume(t.Context(), resource, token)
			wantConfigError(t, err, "token")
		}
		_, err := e.m.Resume(t.Context(), resource, "mine", redlock.WithToken("mine"))
		wantConfigError(t, err, "token")
		_, err = e.m.Resume(t.Context(), resource, "mine", redlock.WithNoExpiry())
		wantConfigError(t, err, "WithNoExpiry")
		if n := e.sentAny(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		e.keep(t, resource, 0, 0, 0)
		_, err = e.m.Resume(t.Context(), resource, "mine", redlock.WithMaxHold(time.Minute))
		wantConfigError(t, err, "WithMaxHold")
		e.WantEverywhere(t, resource, "mine", 0)
	})
}

func TestAResumeWhoseReplicasAreSilentDoesNotCount(t *testing.T) {
	t.Parallel()
	withReplicas(t, func(t *testing.T, q *Quorum, replicas []*servers.Server) {
		m := newConnected(t, q, brief)
		taken, other := q.Resource(t), q.Resource(t)
		q.keep(t, taken, time.Minute, time.Minute, time.Minute)
		eventually(t, 30*time.Second, func() error {
			lock, err := m.Resume(t.Context(), taken, "mine")
			if err != nil {
				return err
			}
			return lock.Unlock(t.Context())
		})
		for _, replica := range replicas[:2] {
			replica.Pause(t)
		}
		q.keep(t, other, 0, 0, 0) // their replicas will never have seen it
		_, err := m.Resume(t.Context(), other, "mine")
		wantNoQuorumOf(t, "Resume", err, q, 0, 1)
		for _, replica := range replicas[:2] {
			replica.Continue(t)
		}
		eventually(t, 30*time.Second, func() error {
			lock, err := m.Resume(t.Context(), other, "mine")
			if err != nil {
				return err
			}
			return lock.Unlock(t.Context())
		})
	})
}
