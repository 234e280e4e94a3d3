package integration

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// unhurried are the delays of a waiter that gets nowhere without being woken.
var unhurried = redlock.Config{TTL: 2 * time.Minute, RetryDelayMin: 40 * time.Second, RetryDelayMax: 40 * time.Second}

// woken is how soon a waiter has the lock that was released, on a busy machine.
const woken = 5 * time.Second

// waits has m wait for resource; the lock comes on the channel.
func waits(t *testing.T, m *redlock.Manager, resource string) <-chan *redlock.Lock {
	t.Helper()
	won := make(chan *redlock.Lock, 1)
	go func() {
		lock, err := m.Lock(t.Context(), resource)
		if err != nil {
			t.Error(err)
		}
		won <- lock
	}()
	return won
}

// wantWoken wants the lock soon after release was called.
func wantWoken(t *testing.T, won <-chan *redlock.Lock, within time.Duration, release func()) {
	t.Helper()
	release()
	select {
	case lock := <-won:
		if lock != nil {
			mustUnlock(t, lock)
		}
	case <-time.After(within):
		t.Errorf("it has no lock %v after the release", within)
	}
}

// onEachSize runs a part of a test on one, three and five nodes.
func onEachSize(t *testing.T, test func(t *testing.T, n int)) {
	t.Parallel()
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) { test(t, n) })
	}
}

// wantHandOver wants that a waiter gets what another manager releases, while as
// many nodes are away as can be spared.
func wantHandOver(t *testing.T, q *Quorum, proxies []*proxy.Proxy, cfg redlock.Config) {
	t.Helper()
	resource := q.Resource(t)
	held := mustTry(t, newConnected(t, q, cfg), resource)
	q.WantEverywhere(t, resource, held.Token(), 5*time.Second) // a majority without those that will be away
	won := waits(t, newConnected(t, q, cfg), resource)
	time.Sleep(time.Second) // it has begun to listen, if it can
	spared := proxies[:(len(proxies)-1)/2]
	down(spared...)
	wantWoken(t, won, woken, func() { mustUnlock(t, held) })
	heal(t, spared...)
}

func TestAReleaseWakesTheWaitersOfOtherProcesses(t *testing.T) {
	onEachSize(t, func(t *testing.T, n int) {
		rowsOn(t, n, func(t *testing.T, q *Quorum) { wantHandOver(t, q, q.Proxies(t), unhurried) })
	})
}

func TestAWaiterTakesALockWithinTheFallbackDelayWhereNoMessageComes(t *testing.T) {
	onEachSize(t, func(t *testing.T, n int) {
		t.Run("all are lost", func(t *testing.T) {
			rowsOn(t, n, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				for _, p := range proxies {
					p.Handle(func(m proxy.Message) proxy.Action {
						if m.Direction == proxy.ToClient && bytes.Contains(m.Raw, []byte("\r\nmessage\r\n")) {
							return proxy.Drop
						}
						return proxy.Pass
					})
				}
				wantHandOver(t, q, proxies, lasting)
			})
		})
		t.Run("no right to a channel", func(t *testing.T) {
			options := servers.Options{Users: []string{"locker on >pw ~* resetchannels +@all"}}
			rowsWith(t, n, options, func(t *testing.T, q *Quorum) {
				proxies := q.Proxies(t)
				for i := range q.Nodes {
					q.Nodes[i].Username, q.Nodes[i].Password = "locker", "pw"
				}
				wantHandOver(t, q, proxies, lasting)
			})
		})
	})
}

func TestAWaiterTakesALockWhoseHolderIsGoneWhenItsTTLEnds(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource, m := q.Resource(t), newConnected(t, q, unhurried)
		q.Take(t, 3, resource, "gone", 3*time.Second)
		wantWoken(t, waits(t, m, resource), 3*time.Second+woken, func() {})
	})
}

func TestCallersOfOneManagerGetTheLockInTheirOrder(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource, m := q.Resource(t), newConnected(t, q, unhurried)
		held := mustTry(t, m, resource)
		var mu sync.Mutex
		var order []int
		var calls sync.WaitGroup
		for i := range 10 {
			calls.Go(func() {
				lock, err := m.Lock(t.Context(), resource)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				mustUnlock(t, lock)
			})
			time.Sleep(50 * time.Millisecond) // it queues before the next
		}
		mustUnlock(t, held)
		calls.Wait()
		if !slices.IsSorted(order) || len(order) != 10 {
			t.Errorf("the order is %v", order)
		}
	})
}

func TestTheLockThatATryLockGivesBackGoesToTheNextInLine(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource, m := q.Resource(t), newConnected(t, q, unhurried)
		held := mustTry(t, m, resource)
		won := waits(t, m, resource)
		time.Sleep(time.Second)
		if _, err := m.TryLock(t.Context(), resource); err == nil {
			t.Error("it was taken twice")
		}
		wantWoken(t, won, woken, func() { mustUnlock(t, held) })
	})
}

func TestHeldListsTheLocksThatAreValid(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, lasting)
		first, second := mustTry(t, m, q.Resource(t)), mustTry(t, m, q.Resource(t))
		short := mustTry(t, m, q.Resource(t), redlock.WithTTL(300*time.Millisecond))
		mustUnlock(t, first)
		<-short.Done()
		if held := m.Held(); len(held) != 1 || held[0] != second {
			t.Errorf("%d are held", len(held))
		}
	})
}
