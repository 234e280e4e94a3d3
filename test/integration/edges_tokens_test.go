package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

var given = redlock.WithToken("given")

func TestWithAGivenTokenTheVerdictWaitsForAllNodes(t *testing.T) {
	const late = 500 * time.Millisecond
	t.Run("that grant it", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.delayReplies(2, late)
			took := timed(func() {
				if _, err := e.m.TryLock(t.Context(), e.Resource(t), given); err != nil {
					t.Error(err)
				}
			})
			if took < late {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("that refuse it", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.Take(t, 3, resource, "someone", time.Minute)
			e.delayReplies(2, late)
			took := timed(func() {
				_, err := e.m.TryLock(t.Context(), resource, given)
				wantMatch(t, err, redlock.ErrTaken)
			})
			if took < late {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("for a node timeout at most", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			e.holdCommands("EVALSHA", 2)
			wantBound(t, timed(func() {
				if _, err := e.m.TryLock(t.Context(), e.Resource(t), given); err != nil {
					t.Error(err)
				}
			}), nodeTimeout)
		})
	})
}

// Node 0 has an earlier use of the token, by another process; nodes 1 and 2 are
// somebody else's; node 3 grants it and its answer is lost; node 4 grants it.
func TestALostTryWithAGivenTokenIsReleasedOnlyWhereThatVeryTryWasGranted(t *testing.T) {
	edgeRows(t, 5, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.takeOn(t, resource, "given", time.Minute, 0)
		e.takeOn(t, resource, "thief", time.Minute, 1, 2)
		e.proxies[3].Handle(loseReplies)
		_, err := e.m.TryLock(t.Context(), resource, given)
		wantMatch(t, err, redlock.ErrTaken)
		e.mend(t)
		want := []string{"given", "thief", "thief", "given", ""}
		e.WantValues(t, resource, 10*time.Second, want...)
		time.Sleep(1500 * time.Millisecond) // time enough for a release that is repeated
		e.connect(t)
		e.WantValues(t, resource, 10*time.Second, want...)
		e.takeOn(t, resource, "", time.Millisecond, 3)
	})
}

func TestATokenThatAMajorityHeldBeforeTheTryIsAlreadyHeld(t *testing.T) {
	type lockFunc = func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error)
	calls := map[string]func(m *redlock.Manager) lockFunc{
		"TryLock":              func(m *redlock.Manager) lockFunc { return m.TryLock },
		"Lock waits for none":  func(m *redlock.Manager) lockFunc { return m.Lock },
		"Do does not run then": doAsLock,
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
				resource := e.Resource(t)
				e.takeOn(t, resource, "given", time.Minute, 0, 1)
				e.takeOn(t, resource, "thief", time.Minute, 2)
				ctx, cancel := context.WithTimeout(t.Context(), slow.NodeTimeout)
				defer cancel()
				_, err := call(e.m)(ctx, resource, given)
				wantMatch(t, err, redlock.ErrAlreadyHeld, redlock.ErrTaken)
				wantNoMatch(t, err, context.DeadlineExceeded, redlock.ErrNoQuorum)
				e.quieten(t)
				e.WantValues(t, resource, 10*time.Second, "given", "given", "thief")
			})
		})
	}
	t.Run("with a dead node", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.takeOn(t, resource, "given", time.Minute, 0, 1)
			e.cutOff(2)
			_, err := e.m.TryLock(t.Context(), resource, given)
			wantMatch(t, err, redlock.ErrAlreadyHeld)
		})
	})
}

// doAsLock makes Do a function like Lock.
func doAsLock(m *redlock.Manager) func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error) {
	return func(ctx context.Context, resource string, opts ...redlock.LockOption) (*redlock.Lock, error) {
		return nil, m.Do(ctx, resource, func(context.Context, *redlock.Lock) error { panic("it ran") }, opts...)
	}
}

func TestATokenThatNoMajorityHeldIsNotAlreadyHeld(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		taken, other, free := q.Resource(t), q.Resource(t), q.Resource(t)
		q.Take(t, 3, taken, "someone", time.Minute)
		q.Take(t, 1, taken, "given", time.Minute)
		_, err := m.TryLock(t.Context(), taken, given)
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrAlreadyHeld)

		q.Take(t, 3, other, "given", time.Minute)
		_, err = m.TryLock(t.Context(), other, redlock.WithToken("another"))
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrAlreadyHeld)

		q.Take(t, 1, free, "given", time.Minute) // two nodes are left to grant it
		lock, err := m.TryLock(t.Context(), free, given)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// badTokens are none.
var badTokens = []string{
	"", strings.Repeat("x", 513), strings.Repeat("é", 257),
	"a\nb", "a\x00", "\x00", "\x1f", "a\x1fb", "a\x7f", "a\u0085b",
}

func TestTokensThatAreEmptyTooLongOrHaveControlCharactersAreRefused(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		for _, token := range badTokens {
			_, err := e.m.TryLock(t.Context(), e.Resource(t), redlock.WithToken(token))
			wantConfigError(t, err, "token")
			_, err = e.m.Lock(t.Context(), e.Resource(t), redlock.WithToken(token))
			wantConfigError(t, err, "token")
			_, err = doAsLock(e.m)(t.Context(), e.Resource(t), redlock.WithToken(token))
			wantConfigError(t, err, "token")
		}
		e.quieten(t)
		if n := e.sentAny(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		for _, token := range []string{strings.Repeat("x", 512), strings.Repeat("é", 256), "x", `a "b" $5 {c} %s`} {
			lock := e.mustTake(t, redlock.WithToken(token))
			if lock.Token() != token {
				t.Errorf("the token of %q is %q", token, lock.Token())
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
