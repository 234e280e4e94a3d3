package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// slowDown makes each command that is sent through the proxies and its reply
// take d together, half of it on either way.
func slowDown(d time.Duration, proxies ...*proxy.Proxy) {
	for _, p := range proxies {
		p.Delay(proxy.ToServer, d/2)
		p.Delay(proxy.ToClient, d/2)
	}
}

// What a slow answer costs is its time, in the call and in the validity: start
// was read before the question left.
func TestSlowNodesCostTheTimeThatTheyTakeAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{50 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(slow.String(), func(t *testing.T) {
			rows(t, func(t *testing.T, q *Quorum) {
				const ttl = time.Minute
				stranger, proxies := q.New(t, redlock.Config{}), q.Proxies(t)
				m := newConnected(t, q, redlock.Config{NodeTimeout: 5 * time.Second, TTL: ttl})
				slowDown(slow, proxies...)
				begun := time.Now()
				lock := mustTry(t, m, q.Resource(t))
				if took := time.Since(begun); took < slow {
					t.Errorf("it took %v: no node was slow", took)
				}
				latest := begun.Add(ttl - ttl/100 - 2*time.Millisecond + slow/2)
				if until := lock.Until(); until.After(latest) {
					t.Errorf("it is valid until %v, %v too long", until, until.Sub(latest))
				}
				for name, call := range map[string]func() error{
					"IsHeld":   func() error { _, err := lock.IsHeld(t.Context()); return err },
					"Extend":   func() error { return lock.Extend(t.Context(), 0) },
					"IsLocked": func() error { return checkLocked(m, lock.Resource(), true) },
				} {
					if err := inTime(t, name, slow+2*time.Second, call); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				_, err := stranger.TryLock(t.Context(), lock.Resource())
				wantMatch(t, err, redlock.ErrTaken)
				mustUnlock(t, lock)
				q.WantFree(t, lock.Resource(), slow+2*time.Second)
			})
		})
	}
}

// verySlow is more than any node timeout of these tests.
const verySlow = 5 * time.Second

func TestAVerySlowMinorityIsNotWaitedForAndLeavesNoKey(t *testing.T) {
	t.Parallel()
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		const nodeTimeout = 2 * time.Second // so that their connections last
		proxies := q.Proxies(t)
		m := newConnected(t, q, redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute})
		slowDown(verySlow, proxies[3:]...)
		held := mustTry(t, m, q.Resource(t))
		wantAllWorks(t, m, held, nodeTimeout/2)
		time.Sleep(verySlow) // what is on its way arrives
		q.WantFree(t, held.Resource(), reaped)
		slowDown(0, proxies[3:]...)
		for _, s := range q.Servers[3:] {
			wantVoteOf(t, q, m, s, verySlow+comingBack)
		}
	})
}

func TestAVerySlowMajorityIsNoQuorumInTimeAndLeavesNoKey(t *testing.T) {
	t.Parallel()
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		const nodeTimeout = 500 * time.Millisecond // so that their connections do not last
		proxies := q.Proxies(t)
		m := newConnected(t, q, redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute})
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), time.Second)
		slowDown(verySlow, proxies[2:]...)
		resource, until := q.Resource(t), held.Until()
		for name, call := range map[string]func() error{
			"TryLock": func() error { _, err := m.TryLock(t.Context(), resource); return err },
			"Extend":  func() error { return held.Extend(t.Context(), 2*time.Minute) },
			"IsHeld":  func() error { _, err := held.IsHeld(t.Context()); return err },
		} {
			err := inTime(t, name, nodeTimeout+2*time.Second, call)
			wantNoQuorumOf(t, name, err, q, 2, 3, 4)
		}
		if !held.Valid() || !held.Until().Equal(until) {
			t.Errorf("the lock is valid until %v (%v), want %v", held.Until(), held.Err(), until)
		}
		time.Sleep(verySlow) // what was sent arrives, on connections that were given up
		slowDown(0, proxies[2:]...)
		for _, s := range q.Servers[2:] {
			wantVoteOf(t, q, m, s, verySlow+comingBack)
		}
		q.WantFree(t, resource, reaped)
		wantHeld(t, q, m, held)
	})
}

// The script compares PTTL: otherwise what is late would take from the holder
// what the later Extend has given, and nobody would notice.
func TestAShorterExtendThatComesLateShortensNothing(t *testing.T) {
	t.Parallel()
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) { // what they execute is counted
		proxies := q.Proxies(t)
		m := newConnected(t, q, redlock.Config{NodeTimeout: 500 * time.Millisecond, TTL: 10 * time.Second})
		lock := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, lock.Resource(), lock.Token(), time.Second)
		for _, p := range proxies {
			held := false // nobody else asks the rule meanwhile
			p.Handle(func(m proxy.Message) proxy.Action {
				if m.Direction == proxy.ToClient || m.Name != "EVALSHA" || held {
					return proxy.Pass
				}
				held = true
				return proxy.Hold
			})
		}
		wantNoQuorumOf(t, "Extend", lock.Extend(t.Context(), 15*time.Second), q, 0, 1, 2)
		awaitNodes(t, m) // on new connections: the old ones are held up with it
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Fatalf("on new connections: %v", err)
		}
		for i, s := range q.Servers {
			awaitKeptFor(t, q, i, lock, 30*time.Second)
			before := executed(t, s, "evalsha")
			proxies[i].Release()
			awaitExecuted(t, s, "evalsha", before)
			awaitKeptFor(t, q, i, lock, 30*time.Second)
		}
		if held, err := lock.IsHeld(t.Context()); !held || lock.Remaining() < 30*time.Second {
			t.Errorf("%v are left of the lock (%v)", lock.Remaining(), err)
		}
		wantHeld(t, q, m, lock)
	})
}

// awaitKeptFor returns when server i keeps the lock for at least d more. A
// server that will keep it for less fails the test.
func awaitKeptFor(t *testing.T, q *Quorum, i int, lock *redlock.Lock, d time.Duration) {
	t.Helper()
	eventually(t, time.Second, func() error {
		left, err := q.Servers[i].Client.PTTL(t.Context(), lock.Resource()).Result()
		if err == nil && left < d {
			err = fmt.Errorf("%s keeps the lock for %v", q.Servers[i].Addr, left)
		}
		return err
	})
}
