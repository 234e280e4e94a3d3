package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
)

var errOwn = errors.New("the function's own error")

func TestDoReleasesAlsoWhenItsContextHasEnded(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		ctx, cancel := context.WithCancel(t.Context())
		err := q.New(t, redlock.Config{TTL: time.Minute}).Do(ctx, resource,
			func(ctx context.Context, lock *redlock.Lock) error {
				q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
				cancel()
				return ctx.Err()
			})
		wantMatch(t, err, context.Canceled)
		wantNoMatch(t, err, redlock.ErrNotHeld, redlock.ErrNoQuorum)
		q.WantFree(t, resource, time.Second)
	})
}

// loseInDo runs Do with a function that has its lock stolen and returns err.
func loseInDo(t *testing.T, q *Quorum, err error, opts ...redlock.LockOption) error {
	t.Helper()
	resource := q.Resource(t)
	m := q.New(t, redlock.Config{TTL: time.Minute})
	return m.Do(t.Context(), resource, func(context.Context, *redlock.Lock) error {
		q.Take(t, 3, resource, "thief", time.Minute)
		return err
	}, opts...)
}

func TestTheErrorOfDosFunctionComesFirstAndThatOfTheReleaseIsJoined(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		err := loseInDo(t, q, errOwn)
		wantMatch(t, err, errOwn, redlock.ErrLost)
		if err != nil && !strings.HasPrefix(err.Error(), errOwn.Error()) {
			t.Errorf("something else comes first: %v", err)
		}
	})
}

func TestTheErrorOfDosReleaseIsNotHiddenByAFunctionThatSucceeds(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) { wantMatch(t, loseInDo(t, q, nil), redlock.ErrLost) })
}

func TestTheErrorOfDosReleaseCanBeDropped(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		if err := loseInDo(t, q, nil, redlock.WithIgnoreReleaseError()); err != nil {
			t.Errorf("got %v", err)
		}
		if err := loseInDo(t, q, errOwn, redlock.WithIgnoreReleaseError()); err != errOwn {
			t.Errorf("got %v, want the function's error alone", err)
		}
	})
}

func TestCloseReleasesEverythingThatIsHeld(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m := q.New(t, redlock.Config{TTL: time.Minute})
		locks := []*redlock.Lock{
			mustTry(t, m, q.Resource(t)),
			mustTry(t, m, q.Resource(t), redlock.WithToken("chosen")),
			mustTry(t, m, q.Resource(t), redlock.WithNoExpiry()),
			mustTry(t, m, q.Resource(t), redlock.WithMaxHold(time.Hour)),
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, lock := range locks {
			q.WantFree(t, lock.Resource(), 0) // Close has waited for it
			wantMatch(t, lock.Err(), redlock.ErrReleased)
			select {
			case <-lock.Done():
			default:
				t.Error("Done is open")
			}
		}
	})
}

func TestCloseStopsRenewalsAndEndsTheContextOfDo(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{TTL: time.Minute, RenewInterval: 20 * time.Millisecond})
		resource := q.Resource(t)
		held, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			done <- m.Do(context.Background(), resource, func(ctx context.Context, _ *redlock.Lock) error {
				close(held)
				<-ctx.Done()
				wantMatch(t, context.Cause(ctx), redlock.ErrReleased)
				<-leave
				return nil
			})
		}()
		<-held
		awaitCommand(t, "EVALSHA", proxies...) // it is being renewed
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		sent := len(proxies[0].Commands())
		time.Sleep(200 * time.Millisecond)
		if now := len(proxies[0].Commands()); now != sent {
			t.Errorf("%d commands were sent after Close", now-sent)
		}
		close(leave)
		wantMatch(t, <-done, redlock.ErrClosed)
		q.WantFree(t, resource, 0)
	})
}

func TestCloseClosesTheConnections(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := q.New(t, redlock.Config{})
		connected(t, m)
		for i, p := range proxies {
			if p.Conns() == 0 {
				t.Errorf("node %d had no connection", i)
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Second, func() error {
			for i, p := range proxies {
				if n := p.Conns(); n != 0 {
					return fmt.Errorf("node %d still has %d", i, n)
				}
			}
			return nil
		})
	})
}

func TestCloseLeavesAClientThatItWasGivenOpen(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		given := redis.NewClient(&redis.Options{Addr: q.Servers[0].Addr})
		t.Cleanup(func() { _ = given.Close() })
		q.Nodes[0] = redlock.Client(given)
		m := q.New(t, redlock.Config{})
		connected(t, m)
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := given.Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestASecondCloseIsFineAndEveryOtherCallReturnsErrClosed(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		lock := mustTry(t, m, resource)
		for range 2 {
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		_, tried := m.TryLock(ctx, resource)
		_, waited := m.Lock(ctx, resource)
		_, locked := m.IsLocked(ctx, resource)
		_, held := lock.IsHeld(ctx)
		for call, err := range map[string]error{
			"TryLock": tried, "Lock": waited, "IsLocked": locked, "IsHeld": held,
			"Do":     m.Do(ctx, resource, func(context.Context, *redlock.Lock) error { return nil }),
			"Extend": lock.Extend(ctx, 0), "ExtendBy": lock.ExtendBy(ctx, time.Second),
			"Unlock": lock.Unlock(ctx), "Ping": m.Ping(ctx),
		} {
			if err != redlock.ErrClosed {
				t.Errorf("%s: got %v", call, err)
			}
		}
		q.WantFree(t, resource, 0)
	})
}
