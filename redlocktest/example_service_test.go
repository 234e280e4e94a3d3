package redlocktest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

func serve(ctx context.Context, m *redlock.Manager) error {
	return m.Do(ctx, "import", func(ctx context.Context, lock *redlock.Lock) error {
		<-ctx.Done() // the work of the service, which must stop when the lock is lost
		return ctx.Err()
	})
}

func TestTheServiceStopsWhenItsLockIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in fake time: a minute takes milliseconds
		q := redlocktest.New(t, 5)
		time.AfterFunc(time.Minute, func() { q.Advance(time.Minute) }) // the nodes forget the lock
		if err := serve(t.Context(), q.Manager); !errors.Is(err, redlock.ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
	})
}
