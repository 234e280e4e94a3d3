package integration

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// outage takes all nodes away and brings them back.
type outage struct{ down, up func() }

func TestAfterAnOutageOfAllNodesLocksWorkAgainAndNoKeyIsLeft(t *testing.T) {
	t.Parallel()
	t.Run("of their connections", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			surviveOutage(t, q, outage{
				down: func() {
					for _, p := range proxies {
						p.Down()
					}
				},
				up: func() {
					for _, p := range proxies {
						p.Up(t)
					}
				},
			})
		})
	})
	t.Run("of the servers, which keep what they had", func(t *testing.T) {
		rowsWith(t, 3, servers.Options{Durable: true}, func(t *testing.T, q *Quorum) {
			surviveOutage(t, q, outage{
				down: func() {
					for _, s := range q.Servers {
						s.Kill(t)
					}
				},
				up: func() {
					for _, s := range q.Servers {
						s.Restart(t)
					}
				},
			})
		})
	})
}

// surviveOutage has callers take and give back locks of their own all the while.
func surviveOutage(t *testing.T, q *Quorum, o outage) {
	t.Helper()
	const callers = 5
	m := q.New(t, lasting)
	awaitNodes(t, m)
	held, err := m.TryLock(t.Context(), q.Resource(t))
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{held.Resource()}
	var won, lost atomic.Int64
	stop := make(chan struct{})
	var done sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); done.Wait() })
	defer end()
	for range callers {
		resource := q.Resource(t)
		keys = append(keys, resource)
		done.Go(func() { lockUntil(t, m, resource, stop, &won, &lost) })
	}
	more := func(what string, count *atomic.Int64, within time.Duration) {
		before := count.Load()
		eventually(t, within, func() error {
			if n := count.Load() - before; n < callers {
				return fmt.Errorf("%d calls %s", n, what)
			}
			return nil
		})
	}
	more("were won before the outage", &won, 5*time.Second)
	o.down()
	more("have failed in the outage", &lost, 5*time.Second)
	_ = held.Unlock(t.Context()) // no node can be asked: it is over, and its keys are left
	o.up()
	more("were won after the outage", &won, 5*time.Second) // a second, and what a busy machine needs
	end()
	wantReaped(t, "after the outage", q.Servers, keys...)
}

// lockUntil takes a lock and gives it back, again and again.
func lockUntil(
	t *testing.T, m *redlock.Manager, resource string, stop <-chan struct{}, won, lost *atomic.Int64,
) {
	for {
		lock, err := m.TryLock(t.Context(), resource)
		count := lost
		if err == nil {
			count = won
			_ = lock.Unlock(t.Context()) // it fails where the outage begins now
		}
		count.Add(1)
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
