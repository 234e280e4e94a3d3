package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

func TestALockIsKeptByEveryNodeUntilItIsUnlocked(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock, err := q.New(t, redlock.Config{}).Lock(t.Context(), resource)
		if err != nil {
			t.Fatal(err)
		}
		if lock.Resource() != resource || !lock.Valid() {
			t.Errorf("the lock of %q is valid: %v", lock.Resource(), lock.Valid())
		}
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		mustUnlock(t, lock)
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestALockIsRefusedToOthersWhileItIsHeld(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		m, other := q.New(t, redlock.Config{}), q.New(t, redlock.Config{})
		lock := mustTry(t, m, resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second) // before a contender comes first somewhere
		for _, contender := range []*redlock.Manager{m, other} {
			_, err := contender.TryLock(t.Context(), resource)
			wantMatch(t, err, redlock.ErrTaken)
			wantNoMatch(t, err, redlock.ErrNoQuorum, redlock.ErrAlreadyHeld)
			_, err = contender.Lock(t.Context(), resource, redlock.WithAttempts(2))
			wantMatch(t, err, redlock.ErrTaken)
			wantNoMatch(t, err, redlock.ErrNoQuorum, redlock.ErrAlreadyHeld)
		}
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		if !lock.Valid() {
			t.Error("the contenders have ended the lock")
		}
		mustUnlock(t, mustTry(t, other, resource+" too"))
		mustUnlock(t, lock)
		mustUnlock(t, mustTry(t, other, resource))
	})
}

func TestALockNeedsAMajorityOfTheNodes(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		for _, c := range []struct {
			nodes, foreign int
			won            bool
		}{
			{3, 1, true}, {3, 2, false}, {3, 3, false},
			{4, 1, true}, {4, 2, false},
			{5, 2, true}, {5, 3, false}, {5, 5, false},
		} {
			q.part(t, fmt.Sprintf("%d of %d are taken", c.foreign, c.nodes), func(t *testing.T) {
				resource := q.Resource(t)
				q.Take(t, c.foreign, resource, "someone", time.Minute)
				m := connected(t, q.New(t, redlock.Config{Nodes: q.Nodes[:c.nodes], TTL: time.Minute}))
				asked := setsOf(proxies)
				lock, err := m.TryLock(t.Context(), resource)
				switch {
				case c.won && err != nil:
					t.Errorf("%d of %d nodes are taken: %v", c.foreign, c.nodes, err)
				case !c.won:
					wantMatch(t, err, redlock.ErrTaken)
					wantNoMatch(t, err, redlock.ErrNoQuorum)
				default:
					mustUnlock(t, lock)
				}
				settled(t, m)
				for i, n := range setsOf(proxies) {
					if want := i < c.nodes; (n-asked[i] == 1) != want || n-asked[i] > 1 {
						t.Errorf("%d of %d nodes are taken: node %d was asked %d times", c.foreign, c.nodes, i, n-asked[i])
					}
				}
				left := make([]string, 5)
				for i := range c.foreign {
					left[i] = "someone"
				}
				q.WantValues(t, resource, 5*time.Second, left...)
			})
		}
	})
}

// setsOf are how many SETs each proxy was sent.
func setsOf(proxies []*proxy.Proxy) (counts []int) {
	for _, p := range proxies {
		counts = append(counts, p.Count("SET"))
	}
	return counts
}

func TestALockIsTakenAndRefusedWhileAMinorityOfTheNodesIsDown(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		down(q.Proxies(t)[:2]...)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		wantNoMatch(t, err, redlock.ErrNoQuorum)
		mustUnlock(t, lock)
		q.WantFree(t, resource, 5*time.Second)
	})
}

func TestOfManyContendersOneHoldsTheLockAtATime(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var inside, turns atomic.Int32
		work := func(m *redlock.Manager) {
			lock, err := m.Lock(ctx, resource, redlock.WithTTL(time.Minute))
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d hold the lock at once", n)
			}
			time.Sleep(2 * time.Millisecond)
			inside.Add(-1)
			turns.Add(1)
			mustUnlock(t, lock)
		}
		var all sync.WaitGroup
		for range 4 {
			m := q.New(t, redlock.Config{RetryDelayMin: 5 * time.Millisecond, RetryDelayMax: 25 * time.Millisecond})
			for range 4 {
				all.Go(func() { work(m) })
			}
		}
		all.Wait()
		if turns.Load() != 16 {
			t.Errorf("%d of 16 contenders had their turn", turns.Load())
		}
	})
}

func TestTryLockAsksTheNodesOnceAndNeverWaits(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		q.Take(t, 3, resource, "someone", time.Minute)
		m := q.New(t, redlock.Config{Attempts: 5, RetryDelayMin: 20 * time.Second, RetryDelayMax: 20 * time.Second})
		for tries := 1; tries <= 2; tries++ {
			start := time.Now()
			_, err := m.TryLock(t.Context(), resource, redlock.WithAttempts(3))
			wantMatch(t, err, redlock.ErrTaken)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if n := len(w.attempts(resource)); n != tries {
				t.Errorf("%d calls have asked %d times", tries, n)
			}
		}
	})
}

func TestTryLockOfBrokenNodesEndsWithinANodeTimeout(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies, resource := q.Proxies(t), q.Resource(t)
		m := connected(t, q.New(t, brief))
		mute(proxies[:2]...)
		start := time.Now()
		_, err := m.TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrTaken)
		if took := time.Since(start); took > nodeTimeout+soon {
			t.Errorf("it took %v, with a node timeout of %v", took, nodeTimeout)
		}
		heal(t, proxies[:2]...)
		q.WantFree(t, resource, 20*time.Second)
	})
}
