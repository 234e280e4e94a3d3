package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// closeInVain closes the manager with a ctx that ends, and wants it to name nodes,
// and nobody else, as those where keys are unconfirmed.
func closeInVain(t *testing.T, e *edgeBed, nodes ...int) {
	t.Helper()
	const wait = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var err error
	wantBound(t, timed(func() { err = e.m.Close(ctx) }), wait)
	wantMatch(t, err, context.DeadlineExceeded)
	for i, p := range e.proxies {
		if err != nil && strings.Contains(err.Error(), p.Addr) != slices.Contains(nodes, i) {
			t.Errorf("node %d is %s: got %v", i, p.Addr, err)
		}
	}
}

// What a connection carries when it is closed arrives in order: an acquire that is
// still under way, then its release.
func TestCloseWaitsForKeysNoLongerThanItsContextAndNamesTheNodes(t *testing.T) {
	t.Run("a release is not answered", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			e.holdReleases(1)
			closeInVain(t, e, 1)
			wantOver(t, lock, redlock.ErrReleased)
			e.mend(t)
			e.WantFree(t, lock.Resource(), 10*time.Second)
		})
	})
	t.Run("an acquire is under way", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			executed := make(chan struct{})
			e.proxies[2].Handle(func(m proxy.Message) proxy.Action {
				switch {
				case m.Name != "SET":
				case m.Direction == proxy.ToServer:
					return proxy.Hold
				default:
					close(executed)
				}
				return proxy.Pass
			})
			lock, err := e.m.TryLock(t.Context(), e.Resource(t))
			if err != nil {
				t.Fatal(err)
			}
			closeInVain(t, e, 2)
			e.proxies[2].Release()
			select {
			case <-executed:
			case <-time.After(10 * time.Second):
				t.Error("the acquire never came")
			}
			e.WantFree(t, lock.Resource(), 10*time.Second)
		})
	})
	t.Run("nodes are dead", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.mustTake(t)
			e.cutOff(0, 2)
			closeInVain(t, e, 0, 2)
		})
	})
}

func TestCloseWithAContextThatHasEndedReleasesAllTheSame(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.m.Close(ctx); err != nil { // it may be quick enough
			wantMatch(t, err, context.Canceled)
		}
		wantOver(t, lock, redlock.ErrReleased)
		e.WantFree(t, lock.Resource(), 10*time.Second)
	})
}

func TestCloseWaitsForKeysOnADeadNodeUntilTheyHaveExpired(t *testing.T) {
	t.Parallel()
	cfg := redlock.Config{NodeTimeout: patience, TTL: 4 * time.Second}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		begun := time.Now()
		e.mustTake(t)
		e.cutOff(2)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := e.m.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begun); took < cfg.TTL {
			t.Errorf("it has returned %v after the lock was taken: the key may be there still", took)
		}
	})
}

func TestCloseEndsTheConnectionsThatTheManagerMadeAndNoOthers(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		client := slowClient(t, proxies[2])
		q.Nodes[2] = redlock.Client(client)
		m := connected(t, q.New(t, redlock.Config{}))
		if _, err := m.Lock(t.Context(), q.Resource(t)); err != nil {
			t.Fatal(err)
		}
		for i, p := range proxies {
			if p.Conns() == 0 {
				t.Errorf("node %d had no connection", i)
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Second, func() error {
			for i, p := range proxies[:2] {
				if n := p.Conns(); n != 0 {
					return fmt.Errorf("node %d still has %d", i, n)
				}
			}
			return nil
		})
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("the user's client: %v", err)
		}
	})
}

// slowClient is a client that waits two seconds for an answer, whatever its
// context says.
func slowClient(t *testing.T, p *proxy.Proxy) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: p.Addr, MaxRetries: -1, ReadTimeout: 2 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestCloseWaitsForAWorkerInsideAUsersClientWhileItsContextLasts(t *testing.T) {
	for name, c := range map[string]struct {
		lasts       time.Duration
		least, most time.Duration
		want        error
	}{
		"until it returns": {30 * time.Second, time.Second, 2*time.Second + soon, nil},
		"no longer than that lasts": {500 * time.Millisecond, 500 * time.Millisecond, 500*time.Millisecond + soon,
			context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				q.Nodes[2] = redlock.Client(slowClient(t, proxies[2]))
				e := &edgeBed{Quorum: q, proxies: proxies, m: q.New(t, redlock.Config{NodeTimeout: time.Second, TTL: time.Minute})}
				e.connect(t)
				e.holdReplies("EXISTS", 2)
				// The others decide: a node that has not been sent the question by then is
				// not sent it any more.
				eventually(t, 10*time.Second, func() error {
					if _, err := e.m.IsLocked(t.Context(), e.Resource(t)); err != nil {
						return err
					}
					if proxies[2].Count("EXISTS") == 0 {
						return errors.New("the worker is not inside its client")
					}
					return nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), c.lasts)
				defer cancel()
				var err error
				took := timed(func() { err = e.m.Close(ctx) })
				if !errors.Is(err, c.want) || took < c.least || took > c.most {
					t.Errorf("got %v after %v", err, took)
				}
				e.mend(t)
			})
		})
	}
}
