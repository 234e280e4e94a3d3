package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

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
			wantOver(t, lock, redlock.ErrReleased)
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
