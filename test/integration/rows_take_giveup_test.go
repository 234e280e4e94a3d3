package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestLockGivesUpAfterThreeTriesAndASecondWithoutAQuorum(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		down(q.Proxies(t)[:2]...)
		for _, c := range []struct {
			pause                   time.Duration
			leastPauses, mostPauses int
			least, most             time.Duration
		}{
			{20 * time.Millisecond, 3, 100, time.Second, 6 * time.Second},
			{1200 * time.Millisecond, 2, 2, 2400 * time.Millisecond, 8 * time.Second},
		} {
			pauses, start := 0, time.Now()
			_, err := q.New(t, redlock.Config{}).Lock(t.Context(), q.Resource(t),
				redlock.WithBackoff(func(int) time.Duration { pauses++; return c.pause }))
			took := time.Since(start)
			wantMatch(t, err, redlock.ErrNoQuorum)
			wantNoMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
			if took < c.least || took > c.most || pauses < c.leastPauses || pauses > c.mostPauses {
				t.Errorf("with pauses of %v it gave up after %d of them, %v", c.pause, pauses, took)
			}
		}
	})
}

func TestAttemptsThatAreUsedUpEndACallWithoutAQuorumEarlier(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		down(q.Proxies(t)[:2]...)
		m := q.New(t, redlock.Config{RetryDelayMin: 20 * time.Second, RetryDelayMax: 20 * time.Second})
		start := time.Now()
		_, err := m.Lock(t.Context(), q.Resource(t), redlock.WithAttempts(1))
		wantMatch(t, err, redlock.ErrNoQuorum)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("one attempt took %v", took)
		}
	})
}

func TestASplitVoteWithADeadNodeIsWaitedOut(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		q.Take(t, 1, resource, "someone", time.Minute)
		down(proxies[2])
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		up := time.AfterFunc(3*time.Second, func() { heal(t, proxies[2]) })
		defer up.Stop()
		lock, err := q.New(t, redlock.Config{}).Lock(ctx, resource)
		if err != nil {
			t.Fatal(err)
		}
		if up.Stop() {
			t.Error("it has the lock while one of three nodes is free and one is dead")
		}
		mustUnlock(t, lock)
	})
}
