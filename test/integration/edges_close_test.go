package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// closedCalls are all that a manager and its locks can be asked to do.
var closedCalls = map[string]func(ctx context.Context, m *redlock.Manager, lock *redlock.Lock, resource string) error{
	"Lock": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.Lock(ctx, resource)
		return err
	},
	"TryLock": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.TryLock(ctx, resource)
		return err
	},
	"Do": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := doAsLock(m)(ctx, resource)
		return err
	},
	"Extend": func(ctx context.Context, _ *redlock.Manager, lock *redlock.Lock, _ string) error {
		return lock.Extend(ctx, 0)
	},
	"ExtendBy": func(ctx context.Context, _ *redlock.Manager, lock *redlock.Lock, _ string) error {
		return lock.ExtendBy(ctx, time.Second)
	},
	"Unlock": func(ctx context.Context, _ *redlock.Manager, lock *redlock.Lock, _ string) error {
		return lock.Unlock(ctx)
	},
	"IsLocked": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.IsLocked(ctx, resource)
		return err
	},
	"IsHeld": func(ctx context.Context, _ *redlock.Manager, lock *redlock.Lock, _ string) error {
		_, err := lock.IsHeld(ctx)
		return err
	},
	"Inspect": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.Inspect(ctx, resource)
		return err
	},
	"Resume": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.Resume(ctx, resource, "another")
		return err
	},
	"ForceUnlock": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		return m.ForceUnlock(ctx, resource)
	},
	"ForceUnlockAll": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, resource string) error {
		_, err := m.ForceUnlockAll(ctx, resource)
		return err
	},
	"Ping": func(ctx context.Context, m *redlock.Manager, _ *redlock.Lock, _ string) error {
		return m.Ping(ctx)
	},
}

func TestAfterCloseEveryCallIsErrClosed(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		for range 2 {
			if err := e.m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		asked := e.sentAny()
		for name, call := range closedCalls {
			if err := call(t.Context(), e.m, lock, lock.Resource()); err != redlock.ErrClosed {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if n := e.sentAny() - asked; n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		e.WantFree(t, lock.Resource(), 0)
		if err := e.m.Close(t.Context()); err != nil {
			t.Errorf("one more Close: %v", err)
		}
	})
}

// closeDuring closes the manager while call is in progress, once begun returns, and
// wants ErrClosed of it before the nodes are heard again.
func closeDuring(t *testing.T, e *edgeBed, begun func(), call func() error) {
	t.Helper()
	ended, closed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- call() }()
	begun()
	go func() { closed <- e.m.Close(context.Background()) }()
	select {
	case err := <-ended:
		wantMatch(t, err, redlock.ErrClosed)
	case <-time.After(slow.NodeTimeout / 2):
		t.Error("it goes on")
	}
	e.mend(t)
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// asksFor makes what returns when every node has been sent n commands called name
// more than before.
func (e *edgeBed) asksFor(t *testing.T, n int, name string) (begun func()) {
	var asked []int
	for i := range e.proxies {
		asked = append(asked, e.sent(i, name))
	}
	return func() {
		t.Helper()
		for i, before := range asked {
			e.awaitSent(t, name, before+n, i)
		}
	}
}

func TestCallsInProgressWhenAManagerClosesAreErrClosed(t *testing.T) {
	for name, call := range closedCalls {
		command := map[string]string{
			"Lock": "SET", "TryLock": "SET", "Do": "SET", "IsLocked": "EXISTS", "Ping": "PING", "ForceUnlockAll": "PING",
			"Extend": "EVALSHA", "ExtendBy": "EVALSHA", "Unlock": "EVALSHA", "IsHeld": "EVALSHA",
			"Inspect": "EVALSHA", "Resume": "EVALSHA", "ForceUnlock": "EVALSHA",
		}[name]
		t.Run(name, func(t *testing.T) {
			edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
				lock, resource := e.mustTake(t), e.Resource(t)
				e.holdReplies("", 0, 1, 2)
				closeDuring(t, e, e.asksFor(t, 1, command), func() error { return call(context.Background(), e.m, lock, resource) })
				wantOver(t, lock, redlock.ErrReleased)
				e.WantFree(t, lock.Resource(), 10*time.Second)
				e.WantFree(t, resource, 10*time.Second)
			})
		})
	}
	for name, wait := range map[string]func(context.Context, *redlock.Manager, string) error{
		"Lock that waits for a holder": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := m.Lock(ctx, resource)
			return err
		},
		"Do that waits for a holder": func(ctx context.Context, m *redlock.Manager, resource string) error {
			_, err := doAsLock(m)(ctx, resource)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
				resource := e.Resource(t)
				e.Take(t, 3, resource, "someone", time.Minute)
				// The second try is a script, and comes when releases are listened for.
				closeDuring(t, e, e.asksFor(t, 1, "EVALSHA"), func() error { return wait(context.Background(), e.m, resource) })
				e.WantValues(t, resource, 10*time.Second, "someone", "someone", "someone")
			})
		})
	}
	t.Run("Lock that waits for its token", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := inUse(t, e)
			waits := func() { time.Sleep(100 * time.Millisecond) } // no node is asked for anything
			closeDuring(t, e, waits, func() error {
				_, err := e.m.Lock(context.Background(), resource, given)
				return err
			})
		})
	})
	t.Run("Do that runs its function", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			runs := make(chan struct{})
			closeDuring(t, e, func() { <-runs }, func() error {
				return e.m.Do(context.Background(), e.Resource(t), func(ctx context.Context, lock *redlock.Lock) error {
					close(runs)
					<-ctx.Done()
					wantMatch(t, context.Cause(ctx), redlock.ErrReleased)
					wantMatch(t, lock.Err(), redlock.ErrReleased)
					return nil
				})
			})
		})
	})
}

func TestASecondCloseWaitsForTheFirstWhileItsOwnContextLasts(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		e.holdReleases(2)
		first, third := make(chan error, 1), make(chan error, 1)
		go func() { first <- e.m.Close(context.Background()) }()
		awaitEnd(t, lock)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := e.m.Close(ctx); err != nil || ctx.Err() == nil {
			t.Errorf("a second Close: %v; its ctx: %v", err, ctx.Err())
		}
		go func() { third <- e.m.Close(context.Background()) }()
		select {
		case err := <-first:
			t.Fatalf("the first Close has returned: %v", err)
		case err := <-third:
			t.Fatalf("the third Close did not wait: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		e.mend(t)
		if err := <-first; err != nil {
			t.Errorf("the first Close: %v", err)
		}
		if err := <-third; err != nil {
			t.Errorf("the third Close: %v", err)
		}
	})
}
