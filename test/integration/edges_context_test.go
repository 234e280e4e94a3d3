package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

var errWork = errors.New("the work has failed")

func TestEveryFailingCallWhoseContextHasEndedMatchesItsError(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		lock, endless, released := e.mustTake(t), e.mustTake(t, redlock.WithNoExpiry()), e.mustTake(t)
		if err := released.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := e.m.TryLock(ctx, e.Resource(t))
		wantMatch(t, err, context.Canceled)
		_, err = e.m.Lock(ctx, e.Resource(t))
		wantMatch(t, err, context.Canceled)
		err = e.m.Do(ctx, e.Resource(t), func(context.Context, *redlock.Lock) error { panic("it ran") })
		wantMatch(t, err, context.Canceled)
		wantMatch(t, lock.Extend(ctx, 0), context.Canceled)
		wantMatch(t, lock.ExtendBy(ctx, time.Second), context.Canceled)
		wantMatch(t, endless.Extend(ctx, 0), context.Canceled, redlock.ErrNoExpiry)
		wantMatch(t, released.Extend(ctx, 0), context.Canceled, redlock.ErrReleased)
		wantMatch(t, released.Unlock(ctx), context.Canceled, redlock.ErrReleased)
		_, err = e.m.IsLocked(ctx, e.Resource(t))
		wantMatch(t, err, context.Canceled)
		_, err = lock.IsHeld(ctx)
		wantMatch(t, err, context.Canceled)
		_, err = released.IsHeld(ctx)
		wantMatch(t, err, context.Canceled, redlock.ErrReleased)
		wantMatch(t, e.m.Ping(ctx), context.Canceled)
		if err := lock.Err(); err != nil {
			t.Errorf("the lock is over: %v", err)
		}
	})
}

func TestBadArgumentsAClosedManagerAndTheErrorOfTheWorkAreNotMadeTheContexts(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := m.Do(ctx, q.Resource(t), func(context.Context, *redlock.Lock) error {
			cancel()
			return errWork
		})
		wantMatch(t, err, errWork)
		wantNoMatch(t, err, context.Canceled)
		_, err = m.TryLock(ctx, q.Resource(t), redlock.WithTTL(-1))
		wantConfigError(t, err, "ttl")
		wantNoMatch(t, err, context.Canceled)
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = m.Lock(ctx, q.Resource(t))
		wantMatch(t, err, redlock.ErrClosed)
		wantNoMatch(t, err, context.Canceled)
	})
}

// interrupted is a call that ctx ends once all nodes were sent its command.
func interrupted(t *testing.T, command string, call func(ctx context.Context, e *edgeBed, lock *redlock.Lock) error) {
	t.Helper()
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		asked := e.sent(0, command)
		e.holdCommands(command, 0, 1, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.whenSent(t, cancel, command, asked+1, 0, 1, 2)
		err := call(ctx, e, lock)
		wantMatch(t, err, redlock.ErrNoQuorum, context.Canceled)
		wantNoMatch(t, err, redlock.ErrTaken, redlock.ErrNotHeld)
		if err := lock.Err(); err != nil {
			t.Errorf("the lock is over: %v", err)
		}
	})
}

func TestACallThatItsContextEndsInMidQuestionHasNoQuorumAndMatchesTheContext(t *testing.T) {
	t.Run("TryLock", func(t *testing.T) {
		interrupted(t, "SET", func(ctx context.Context, e *edgeBed, _ *redlock.Lock) error {
			_, err := e.m.TryLock(ctx, e.Resource(t))
			return err
		})
	})
	t.Run("Extend", func(t *testing.T) {
		interrupted(t, "EVALSHA", func(ctx context.Context, _ *edgeBed, lock *redlock.Lock) error {
			return lock.Extend(ctx, 0)
		})
	})
	t.Run("IsLocked", func(t *testing.T) {
		interrupted(t, "EXISTS", func(ctx context.Context, e *edgeBed, lock *redlock.Lock) error {
			_, err := e.m.IsLocked(ctx, lock.Resource())
			return err
		})
	})
	t.Run("IsHeld", func(t *testing.T) {
		interrupted(t, "EVALSHA", func(ctx context.Context, _ *edgeBed, lock *redlock.Lock) error {
			_, err := lock.IsHeld(ctx)
			return err
		})
	})
}

// What is silent here is found out by a deadline somewhere: of the node timeout,
// of the dialling, of the handshake, of a user's client, of the client that asks
// Sentinel. None of them is the caller's.
func TestANodesOwnTimeOutIsNoDeadlineOfTheCallers(t *testing.T) {
	t.Parallel()
	parsed := func(t *testing.T, uri string) redlock.Node {
		node, err := redlock.ParseNode(uri)
		if err != nil {
			t.Fatal(err)
		}
		return node
	}
	plain := func(t *testing.T, p *proxy.Proxy) redlock.Node {
		return parsed(t, "redis://"+p.Addr+"?timeout=0.5")
	}
	client := func(t *testing.T, p *proxy.Proxy) redlock.Node {
		client := redis.NewClient(&redis.Options{
			Addr: p.Addr, MaxRetries: -1, ContextTimeoutEnabled: true, ReadTimeout: time.Second,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { _ = client.Close() })
		return redlock.Client(client)
	}
	sentinel := func(t *testing.T, p *proxy.Proxy) redlock.Node {
		return parsed(t, "redis://"+p.Addr+"?timeout=0.5&master=leader")
	}
	for name, silent := range map[string]struct {
		node      func(t *testing.T, p *proxy.Proxy) redlock.Node
		connected bool // before it falls silent
	}{
		"a connection in use":            {plain, true},
		"a new connection":               {plain, false},
		"a client of the user's in use":  {client, true},
		"a client of the user's not yet": {client, false},
		"a Sentinel":                     {sentinel, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows(t, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				for i, p := range proxies {
					q.Nodes[i] = silent.node(t, p)
				}
				m := q.New(t, redlock.Config{NodeTimeout: time.Second / 4})
				if silent.connected {
					eventually(t, 10*time.Second, func() error { return m.Ping(t.Context()) })
				}
				for _, p := range proxies {
					p.Handle(func(proxy.Message) proxy.Action { return proxy.Hold })
				}
				wantNoDeadlines(t, q, m)
				for _, p := range proxies {
					p.Handle(nil)
					p.Release()
				}
			})
		})
	}
}

// wantNoDeadlines tries until the nodes were waited for, were given up, and were
// found silent anew.
func wantNoDeadlines(t *testing.T, q *Quorum, m *redlock.Manager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for begun := time.Now(); time.Since(begun) < 2500*time.Millisecond; {
		_, err := m.TryLock(ctx, q.Resource(t))
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, context.DeadlineExceeded, context.Canceled)
	}
}
