package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

func TestLockNeverWaitsPastItsDeadlineByMoreThanANodeTimeout(t *testing.T) {
	t.Parallel()
	nothing := func(*testing.T, *Quorum, []*proxy.Proxy, string) {}
	taken := func(t *testing.T, q *Quorum, _ []*proxy.Proxy, resource string) {
		q.Take(t, 3, resource, "someone", time.Minute)
	}
	for _, c := range []struct {
		name    string
		before  func(*testing.T, *Quorum, []*proxy.Proxy, string) // the first contact
		after   func(*testing.T, *Quorum, []*proxy.Proxy, string)
		pause   time.Duration
		verdict error // of the last whole try, if there can be one
	}{
		{"behind a holder", nothing, taken, 100 * time.Millisecond, redlock.ErrTaken},
		{"in a long pause", nothing, taken, 30 * time.Second, redlock.ErrTaken},
		{"before a dead majority", func(_ *testing.T, _ *Quorum, proxies []*proxy.Proxy, _ string) {
			down(proxies[:2]...)
		}, nothing, 30 * time.Second, redlock.ErrNoQuorum},
		{"before a silent majority", nothing, func(_ *testing.T, _ *Quorum, proxies []*proxy.Proxy, _ string) {
			mute(proxies[:2]...)
		}, 100 * time.Millisecond, nil},
		{"before a majority that never finishes to connect", func(_ *testing.T, _ *Quorum, p []*proxy.Proxy, _ string) {
			mute(p[:2]...)
		}, nothing, 100 * time.Millisecond, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				proxies, resource := q.Proxies(t), q.Resource(t)
				m := q.New(t, redlock.Config{NodeTimeout: 2 * time.Second, RetryDelayMin: c.pause, RetryDelayMax: c.pause})
				c.before(t, q, proxies, resource)
				_ = m.Ping(t.Context())
				c.after(t, q, proxies, resource)
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := m.Lock(ctx, resource)
				took := time.Since(start)
				wantMatch(t, err, context.DeadlineExceeded)
				if c.verdict != nil {
					wantMatch(t, err, c.verdict)
				}
				if took < time.Second || took > 3*time.Second {
					t.Errorf("with a deadline of 1s and a node timeout of 2s it took %v", took)
				}
				heal(t, proxies[:2]...)
			})
		})
	}
}

func TestACallWhoseContextHasEndedAsksNoNode(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		m := connected(t, q.New(t, redlock.Config{}))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for _, ctx := range []context.Context{cancelled, late} {
			for _, lock := range []func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error){
				m.Lock, m.TryLock,
			} {
				_, err := lock(ctx, resource)
				wantMatch(t, err, ctx.Err())
				wantNoMatch(t, err, redlock.ErrTaken, redlock.ErrNoQuorum)
			}
		}
		mustUnlock(t, mustTry(t, m, resource)) // behind whatever was sent before
		if n := len(w.attempts(resource)); n != 1 {
			t.Errorf("the nodes were asked %d times more", n-1)
		}
	})
}

func TestAContextBoundsTheWaitForALockAndNotTheLock(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		ctx, cancel := context.WithCancel(t.Context())
		lock, err := q.New(t, redlock.Config{}).Lock(ctx, resource)
		if err != nil {
			t.Fatal(err)
		}
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		cancel()
		_, err = q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
		wantMatch(t, err, redlock.ErrTaken)
		if !lock.Valid() {
			t.Errorf("it has ended with its context: %v", lock.Err())
		}
		q.WantEverywhere(t, resource, lock.Token(), 0)
		mustUnlock(t, lock)
	})
}

func TestACancelledWaiterReturnsAtOnceAndLeavesNothingBehind(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		q.Take(t, 2, resource, "someone", time.Minute)
		cfg := redlock.Config{TTL: time.Minute, RetryDelayMin: 20 * time.Second, RetryDelayMax: 20 * time.Second}
		m := connected(t, q.New(t, cfg))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		start := time.Now()
		_, err := m.Lock(ctx, resource)
		wantMatch(t, err, redlock.ErrTaken, context.Canceled)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		settled(t, m)
		q.WantValues(t, resource, 5*time.Second, "someone", "someone", "")
	})
}
