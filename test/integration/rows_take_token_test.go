package integration

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestALockIsKeptUnderTheTokenThatItsCallerChose(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		for _, token := range []string{"job-7", " ", "ü: 世界", strings.Repeat("x", 512)} {
			resource := q.Resource(t)
			lock := mustTry(t, m, resource, redlock.WithToken(token))
			if lock.Token() != token {
				t.Errorf("its token is %q, not %q", lock.Token(), token)
			}
			q.WantEverywhere(t, resource, token, 5*time.Second)
			_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource, redlock.WithToken("other"))
			wantMatch(t, err, redlock.ErrTaken)
			wantNoMatch(t, err, redlock.ErrAlreadyHeld)
			if err := lock.Extend(t.Context(), time.Minute); err != nil {
				t.Error(err)
			}
			mustUnlock(t, lock)
			q.WantFree(t, resource, 5*time.Second)
		}
	})
}

func TestEveryAttemptHasATokenOfItsOwn(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		q.Take(t, 2, resource, "someone", time.Minute)
		const tries, pause = 6, 20 * time.Millisecond
		made := 1
		m := connected(t, q.New(t, redlock.Config{}))
		_, err := m.Lock(t.Context(), resource, redlock.WithAttempts(tries),
			redlock.WithBackoff(func(attempt int) time.Duration { made = attempt + 1; return pause }))
		wantMatch(t, err, redlock.ErrTaken)
		attempts := w.attempts(resource)
		if made != tries || len(attempts) != tries {
			t.Errorf("%d tries had %d tokens", made, len(attempts))
		}
		for _, a := range attempts {
			if n := len(a.at); n < 2 || n > 3 {
				t.Errorf("%d nodes were sent %q, want a token for all", n, a.token)
			}
			if len(a.token) < 128/4 {
				t.Errorf("%q is no 128 random bits", a.token)
			}
		}
	})
}

func TestARandomTokenHas128RandomBits(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		var tokens []string
		ones, zeros := make([]byte, 16), make([]byte, 16)
		managers := []*redlock.Manager{q.New(t, redlock.Config{}), q.New(t, redlock.Config{})}
		for i := range 100 {
			lock := mustTry(t, managers[i%2], q.Resource(t))
			tokens = append(tokens, lock.Token())
			mustUnlock(t, lock)
			random, _, _ := strings.Cut(lock.Token(), "@")
			bits, err := hex.DecodeString(random)
			if err != nil || len(bits) != 16 {
				t.Fatalf("token %d is %q", i, lock.Token())
			}
			for j, b := range bits {
				ones[j] |= b
				zeros[j] |= ^b
			}
		}
		for j := range 16 {
			if ones[j] != 0xff || zeros[j] != 0xff {
				t.Errorf("byte %d has bits that never change", j)
			}
		}
		slices.Sort(tokens)
		if len(slices.Compact(tokens)) != 100 {
			t.Error("two locks have one token")
		}
	})
}

func TestALockThatTheCallersTokenHoldsIsSaidToBeAndNotWaitedFor(t *testing.T) {
	const token = "mine"
	for _, c := range []struct {
		name string
		hold func(t *testing.T, q *Quorum, m *redlock.Manager, resource string)
		left []string
	}{
		{"by this manager", func(t *testing.T, _ *Quorum, m *redlock.Manager, resource string) {
			mustTry(t, m, resource, redlock.WithToken(token))
		}, []string{token, token, token}},
		{"by another manager", func(t *testing.T, q *Quorum, _ *redlock.Manager, resource string) {
			mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource, redlock.WithToken(token))
		}, []string{token, token, token}},
		{"by another client on a majority", func(t *testing.T, q *Quorum, _ *redlock.Manager, resource string) {
			q.Take(t, 2, resource, token, time.Minute)
		}, []string{token, token, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				m := q.New(t, redlock.Config{TTL: time.Minute, RetryDelayMin: 20 * time.Second, RetryDelayMax: 20 * time.Second})
				resource := q.Resource(t)
				c.hold(t, q, m, resource)
				q.WantValues(t, resource, 5*time.Second, c.left...)
				for _, lock := range []func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error){
					m.TryLock, m.Lock,
				} {
					start := time.Now()
					_, err := lock(t.Context(), resource, redlock.WithToken(token))
					wantMatch(t, err, redlock.ErrAlreadyHeld, redlock.ErrTaken)
					wantNoMatch(t, err, redlock.ErrNoQuorum)
					if took := time.Since(start); took > 10*time.Second {
						t.Errorf("it took %v", took)
					}
					settled(t, m)
					q.WantValues(t, resource, 5*time.Second, c.left...)
				}
			})
		})
	}
}

func TestATokenThatHoldsAMinorityHoldsNothing(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		q.Take(t, 3, resource, "someone", time.Minute)
		q.Take(t, 1, resource, "mine", time.Minute)
		m := q.New(t, redlock.Config{TTL: time.Minute})
		_, err := m.TryLock(t.Context(), resource, redlock.WithToken("mine"))
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrAlreadyHeld, redlock.ErrNoQuorum)
		settled(t, m)
		q.WantValues(t, resource, 5*time.Second, "mine", "someone", "someone")
	})
}

func TestATokenCanBeUsedAgainWhenItsLockIsReleased(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		for range 5 {
			lock, err := m.Lock(t.Context(), resource, redlock.WithToken("mine"))
			if err != nil {
				t.Fatal(err)
			}
			mustUnlock(t, lock)
		}
	})
}
