package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// takeMany takes n locks whose names begin with prefix.
func takeMany(t *testing.T, m *redlock.Manager, prefix string, n int) {
	t.Helper()
	var calls errgroup.Group
	calls.SetLimit(64)
	for i := range n {
		calls.Go(func() error {
			_, err := m.TryLock(t.Context(), fmt.Sprint(prefix, i))
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		t.Fatal(err)
	}
}

// wantKeys waits until the server has so many keys at the most.
func wantKeys(t *testing.T, s *servers.Server, most int64, within time.Duration) {
	t.Helper()
	eventually(t, within, func() error {
		if n, err := s.Client.DBSize(t.Context()).Result(); err != nil || n > most {
			return fmt.Errorf("%s has %d keys, want %d at most; %w", s.Addr, n, most, err)
		}
		return nil
	})
}

// wantNamed fails unless the error names this one of the nodes.
func wantNamed(t *testing.T, err error, q *Quorum, node int) {
	t.Helper()
	for i, s := range q.Servers {
		if named := err != nil && strings.Contains(err.Error(), s.Addr); named != (i == node) {
			t.Errorf("got %v: it names node %d: %t", err, i, named)
		}
	}
}

func TestForceUnlockAllCountsWhatItDropsAndNamesANodeThatIsKilledHalfWay(t *testing.T) {
	t.Parallel()
	rowsWith(t, 5, servers.Options{}, func(t *testing.T, q *Quorum) {
		const locks = 2000
		m := newConnected(t, q, redlock.Config{TTL: time.Minute, NodeTimeout: 5 * time.Second})
		takeMany(t, m, "job:", locks)
		type result struct {
			dropped int
			err     error
		}
		done := make(chan result, 1)
		go func() {
			n, err := m.ForceUnlockAll(t.Context(), "job:")
			done <- result{n, err}
		}()
		wantKeys(t, q.Servers[0], locks/2, time.Minute)
		q.Servers[4].Kill(t)
		got := <-done
		if got.dropped != locks {
			t.Errorf("it has dropped %d, want %d", got.dropped, locks)
		}
		wantNamed(t, got.err, q, 4)
		for _, s := range q.Servers[:4] {
			wantKeys(t, s, 0, 10*time.Second)
		}
		q.Servers[4].Restart(t) // or Close would wait for what it may still keep
	})
}

func TestCloseWithTenThousandLocksAndAPausedNodeReturnsWithinItsContext(t *testing.T) {
	t.Parallel()
	rowsWith(t, 5, servers.Options{}, func(t *testing.T, q *Quorum) {
		const wait = 5 * time.Second
		count := countGoroutines(t)
		m := newConnected(t, q, redlock.Config{TTL: time.Minute})
		takeMany(t, m, "held:", 10_000)
		uncounted(t, func() { q.Servers[4].Pause(t) })
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		var err error
		wantBound(t, timed(func() { err = m.Close(ctx) }), wait)
		wantMatch(t, err, context.DeadlineExceeded)
		wantNamed(t, err, q, 4)
		for _, s := range q.Servers[:4] {
			wantKeys(t, s, 0, time.Second)
		}
		eventually(t, 5*time.Second, func() error {
			if n := count(); n > 0 {
				return fmt.Errorf("%d goroutines of the manager are left", n)
			}
			return nil
		})
		q.Servers[4].Continue(t)
	})
}
