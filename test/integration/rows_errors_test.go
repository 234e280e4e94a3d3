package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

func TestSomeoneElseHasItAndTheNodesAreBrokenAreDifferentErrors(t *testing.T) {
	for _, c := range []struct {
		name           string
		taken, down    int // of five nodes: the first, and the last
		verdict, other error
	}{
		{"a majority is taken", 3, 0, redlock.ErrTaken, redlock.ErrNoQuorum},
		{"a majority is taken and the others are down", 3, 2, redlock.ErrTaken, redlock.ErrNoQuorum},
		{"a majority is down", 0, 3, redlock.ErrNoQuorum, redlock.ErrTaken},
		{"one that is down could have turned the vote", 2, 1, redlock.ErrNoQuorum, redlock.ErrTaken},
		{"two that are down could have turned the vote", 1, 2, redlock.ErrNoQuorum, redlock.ErrTaken},
	} {
		t.Run(c.name, func(t *testing.T) {
			rowsOn(t, 5, func(t *testing.T, q *Quorum) {
				resource := q.Resource(t)
				q.Take(t, c.taken, resource, "someone", time.Minute)
				for _, p := range q.Proxies(t)[5-c.down:] {
					p.Down()
				}
				_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
				wantMatch(t, err, c.verdict)
				wantNoMatch(t, err, c.other, context.DeadlineExceeded)
			})
		})
	}
}

func TestASplitAmongNodesThatAllVoteIsTaken(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		q.Take(t, 3, resource, "someone", time.Minute)
		q.Take(t, 1, resource, "someone else", time.Minute)
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrNoQuorum, redlock.ErrAlreadyHeld)
	})
}

// broken puts a proxy that refuses every connection before the first node, gives
// the second, on database 3, a password that it does not know, and returns a
// manager and the names of these two.
func broken(t *testing.T, q *Quorum) (m *redlock.Manager, names []string) {
	t.Helper()
	proxies := q.Proxies(t)
	proxies[0].Down()
	q.Nodes[1].DB, q.Nodes[1].Username, q.Nodes[1].Password = 3, "locker", secret
	return q.New(t, redlock.Config{}), []string{proxies[0].Addr, proxies[1].Addr + "/3"}
}

const secret = "p4ssw0rd"

func TestEveryNodesOwnErrorIsThereWithItsNameAndWithoutItsPassword(t *testing.T) {
	for op, call := range map[string]func(ctx context.Context, m *redlock.Manager, resource string) error{
		"TryLock": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.TryLock(ctx, resource)
			return err
		},
		"Lock": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.Lock(ctx, resource, redlock.WithAttempts(2))
			return err
		},
		"Do": func(ctx context.Context, m *redlock.Manager, resource string) error {
			return m.Do(ctx, resource, func(context.Context, *redlock.Lock) error { return nil },
				redlock.WithAttempts(2))
		},
		"IsLocked": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.IsLocked(ctx, resource)
			return err
		},
		"Inspect": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.Inspect(ctx, resource)
			return err
		},
		"Resume": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.Resume(ctx, resource, "token")
			return err
		},
		"ForceUnlock": func(ctx context.Context, m *redlock.Manager, resource string) error {
			return m.ForceUnlock(ctx, resource)
		},
		"ForceUnlockAll": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.ForceUnlockAll(ctx, resource)
			return err
		},
	} {
		t.Run(op, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				m, names := broken(t, q)
				eventually(t, 10*time.Second, func() error { // the third may connect too late on a busy machine
					err := call(t.Context(), m, q.Resource(t))
					if wantMatch(t, err, redlock.ErrNoQuorum); strings.Contains(fmt.Sprint(err), secret) {
						t.Errorf("the password shows: %v", err)
					}
					return checkNodes(err, names)
				})
			})
		})
	}
}

// wantNodes fails unless checkNodes is content.
func wantNodes(t *testing.T, err error, names []string) {
	t.Helper()
	if err := checkNodes(err, names); err != nil {
		t.Error(err)
	}
}

// checkNodes wants err to have an error of each of the named nodes, in order, as a
// multierror, and to show no secret.
func checkNodes(err error, names []string) error {
	text := fmt.Sprint(err)
	if strings.Contains(text, secret) {
		return fmt.Errorf("the password shows: %w", err)
	}
	var all *multierror.Error
	if !errors.As(err, &all) {
		return fmt.Errorf("there is no multierror in %w", err)
	}
	if len(all.Errors) != len(names) {
		return fmt.Errorf("%d errors, want one for each of %q: %w", len(all.Errors), names, err)
	}
	for i, name := range names {
		var node *redlock.NodeError
		switch {
		case !errors.As(all.Errors[i], &node) || node.Node != name || node.Err == nil:
			return fmt.Errorf("error %d is %w, want one of node %s", i, all.Errors[i], name)
		case !strings.Contains(text, name):
			return fmt.Errorf("the text does not name %s: %w", name, err)
		}
	}
	return nil
}

func TestEveryNodesOwnErrorIsThereWhenALockThatIsHeldIsAskedAbout(t *testing.T) {
	for op, call := range map[string]func(ctx context.Context, lock *redlock.Lock) error{
		"Extend":   func(ctx context.Context, lock *redlock.Lock) error { return lock.Extend(ctx, 0) },
		"ExtendBy": func(ctx context.Context, lock *redlock.Lock) error { return lock.ExtendBy(ctx, time.Second) },
		"IsHeld":   func(ctx context.Context, lock *redlock.Lock) error { _, err := lock.IsHeld(ctx); return err },
		"Unlock":   func(ctx context.Context, lock *redlock.Lock) error { return lock.Unlock(ctx) },
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel() // each waits for a node to be found again
			rows(t, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				m := q.New(t, redlock.Config{TTL: time.Minute})
				connected(t, m)
				lock := mustTry(t, m, q.Resource(t))
				proxies[0].Down()
				proxies[1].Down()
				err := call(t.Context(), lock)
				proxies[0].Up(t)
				proxies[1].Up(t)
				wantMatch(t, err, redlock.ErrNoQuorum)
				wantNodes(t, err, []string{proxies[0].Addr, proxies[1].Addr})
			})
		})
	}
}

func TestTheContextsErrorStaysVisibleBesideTheVerdict(t *testing.T) {
	t.Run("a deadline while a holder is waited for", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			m, resource := q.New(t, redlock.Config{}), q.Resource(t)
			connected(t, m)
			q.Take(t, 3, resource, "someone", time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := m.Lock(ctx, resource)
			wantMatch(t, err, context.DeadlineExceeded, redlock.ErrTaken)
		})
	})
	t.Run("a cancellation while the nodes are asked", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			m := q.New(t, redlock.Config{NodeTimeout: 10 * time.Second})
			connected(t, m)
			holdBack("SET", proxies...)
			ctx, cancel := context.WithCancel(t.Context())
			tried := make(chan error, 1)
			go func() { _, err := m.TryLock(ctx, q.Resource(t)); tried <- err }()
			awaitCommand(t, "SET", proxies...)
			cancel()
			err := <-tried
			letGo(proxies...)
			wantMatch(t, err, context.Canceled, redlock.ErrNoQuorum)
		})
	})
}

func TestATimeOutOfANodeIsNoTimeOutOfTheCaller(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{NodeTimeout: 300 * time.Millisecond})
		connected(t, m)
		holdBack("SET", proxies...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := m.TryLock(ctx, q.Resource(t))
		letGo(proxies...)
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, context.DeadlineExceeded, context.Canceled)
	})
}

func TestAScriptFlushIsRecoveredOnceAndUnseen(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{TTL: time.Minute})
		connected(t, m)
		lock := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		for i, step := range []struct {
			name string
			call func() error
		}{
			{"Extend", func() error { return lock.Extend(t.Context(), 0) }},
			{"IsHeld", func() error { _, err := lock.IsHeld(t.Context()); return err }},
			{"a given token", func() error { mustTry(t, m, q.Resource(t), redlock.WithToken("chosen")); return nil }},
			{"no expiry", func() error { mustTry(t, m, q.Resource(t), redlock.WithNoExpiry()); return nil }},
			{"Unlock", func() error { return lock.Unlock(t.Context()) }},
		} {
			for _, s := range q.Servers {
				if err := s.Client.ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := step.call(); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			eventually(t, 5*time.Second, func() error {
				for node, p := range proxies {
					if n := p.Count("EVAL") - i; n != 1 {
						return fmt.Errorf("%s: node %d was sent the script in full %d times", step.name, node, n)
					}
				}
				return nil
			})
			// Sent is not executed: the script must be there before it is flushed again.
			if err := m.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		q.WantFree(t, lock.Resource(), time.Second)
	})
}
