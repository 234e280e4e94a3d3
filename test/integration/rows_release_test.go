package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

func TestUnlockDeletesTheKeyOnEveryNode(t *testing.T) {
	rowsOn(t, 5, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.WantFree(t, resource, time.Second)
	})
}

func TestUnlockDeletesOnlyItsOwnKey(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		m := q.New(t, redlock.Config{TTL: time.Minute})
		connected(t, m)
		lock := mustTry(t, m, resource)
		q.Take(t, 1, resource, "thief", time.Minute)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("a majority had the key: %v", err)
		}
		q.WantValues(t, resource, time.Second, "thief", "", "")
	})
}

func TestUnlockNeedsAMajorityAndCanBeAskedAgain(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		proxies := q.Proxies(t)
		lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
		proxies[0].Down()
		proxies[1].Down()
		err := lock.Unlock(t.Context())
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrNotHeld)
		proxies[0].Up(t)
		proxies[1].Up(t)
		eventually(t, 5*time.Second, func() error { return lock.Unlock(t.Context()) })
		q.WantFree(t, resource, time.Second)
	})
}

func TestUnlockReachesANodeThatDidNotAnswerTheAcquire(t *testing.T) {
	t.Run("it was slow", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			unlockAfterALostGrant(t, q, func(slow *proxy.Proxy) { holdBack("SET", slow) })
		})
	})
	t.Run("its connection broke", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			unlockAfterALostGrant(t, q, func(broken *proxy.Proxy) {
				broken.Handle(func(m proxy.Message) proxy.Action {
					if m.Direction == proxy.ToClient && m.Name == "SET" {
						return proxy.Reset
					}
					return proxy.Pass
				})
			})
		})
	})
}

// unlockAfterALostGrant takes a lock while the third node executes its SET and
// gives no answer, unlocks it, and wants no key left there.
func unlockAfterALostGrant(t *testing.T, q *Quorum, spoil func(*proxy.Proxy)) {
	resource := q.Resource(t)
	third := q.Proxies(t)[2]
	m := q.New(t, redlock.Config{TTL: time.Minute})
	connected(t, m)
	spoil(third)
	lock := mustTry(t, m, resource)
	awaitCommand(t, "SET", third)
	if err := lock.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	letGo(third)
	q.WantFree(t, resource, 5*time.Second)
	if err := m.Close(t.Context()); err != nil { // by then nothing is on its way any more
		t.Error(err)
	}
	q.WantFree(t, resource, 0)
}

func TestUnlockOfALockThatIsOverSaysWhy(t *testing.T) {
	t.Run("it has expired", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			lock := mustTry(t, q.New(t, redlock.Config{TTL: 200 * time.Millisecond}), q.Resource(t))
			awaitEnd(t, lock)
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrExpired, redlock.ErrNotHeld)
			wantNoMatch(t, err, redlock.ErrLost, redlock.ErrReleased, redlock.ErrNoQuorum)
		})
	})
	t.Run("it was stolen", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			lock := mustTry(t, q.New(t, redlock.Config{}), q.Resource(t))
			q.Take(t, 2, lock.Resource(), "thief", time.Minute)
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrLost, redlock.ErrNotHeld)
			wantNoMatch(t, err, redlock.ErrExpired, redlock.ErrReleased, redlock.ErrNoQuorum)
		})
	})
	t.Run("its keys were deleted", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			lock := mustTry(t, q.New(t, redlock.Config{}), q.Resource(t))
			q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
			for _, s := range q.Servers[:2] {
				s.Client.Del(t.Context(), lock.Resource())
			}
			wantMatch(t, lock.Unlock(t.Context()), redlock.ErrLost, redlock.ErrNotHeld)
		})
	})
	t.Run("it was released", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			lock := mustTry(t, q.New(t, redlock.Config{}), q.Resource(t))
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrReleased, redlock.ErrNotHeld)
			wantNoMatch(t, err, redlock.ErrLost, redlock.ErrExpired, redlock.ErrNoQuorum)
		})
	})
}

// The release of a given token is not repeated by itself: after its node was away,
// what deletes the key is Unlock.
func TestOurKeyIsDeletedWhereItStillStandsOfALockThatIsOver(t *testing.T) {
	t.Run("it has expired", func(t *testing.T) {
		cfg := redlock.Config{NodeTimeout: patience, TTL: time.Minute, Margin: 57 * time.Second}
		edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t, redlock.WithToken("given"))
			e.cutOff(0, 1, 2)
			awaitEnd(t, lock)
			e.mend(t)
			e.connect(t) // all of them: a Ping is content with a majority
			e.WantEverywhere(t, lock.Resource(), "given", 0)
			wantMatch(t, lock.Unlock(t.Context()), redlock.ErrExpired)
			e.WantFree(t, lock.Resource(), 5*time.Second)
		})
	})
	t.Run("it was stolen", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			resource := q.Resource(t)
			lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), resource)
			q.WantEverywhere(t, resource, lock.Token(), 5*time.Second)
			q.Take(t, 2, resource, "thief", time.Minute)
			wantMatch(t, lock.Unlock(t.Context()), redlock.ErrLost)
			q.WantValues(t, resource, time.Second, "thief", "thief", "")
		})
	})
}

func TestUnlockWorksWithAContextThatHasEnded(t *testing.T) {
	t.Run("before the call", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute}), q.Resource(t))
			if err := lock.Unlock(cancelled(t)); err != nil {
				t.Error(err)
			}
			q.WantFree(t, lock.Resource(), time.Second)
		})
	})
	t.Run("while the nodes are asked", func(t *testing.T) {
		rows(t, func(t *testing.T, q *Quorum) {
			proxies := q.Proxies(t)
			lock := mustTry(t, q.New(t, redlock.Config{TTL: time.Minute, NodeTimeout: 10 * time.Second}), q.Resource(t))
			holdBack("EVALSHA", proxies...)
			ctx, cancel := context.WithCancel(t.Context())
			unlocked := make(chan error, 1)
			go func() { unlocked <- lock.Unlock(ctx) }()
			awaitCommand(t, "EVALSHA", proxies...)
			cancel()
			select {
			case err := <-unlocked:
				letGo(proxies...)
				t.Fatalf("it returned with its context: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			letGo(proxies...)
			if err := <-unlocked; err != nil {
				t.Error(err)
			}
			q.WantFree(t, lock.Resource(), time.Second)
		})
	})
}

func TestUnlockWithoutAContextIsBoundedByTheNodeTimeout(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		proxies := q.Proxies(t)
		m := connected(t, q.New(t, brief))
		lock := mustTry(t, m, q.Resource(t))
		holdBack("EVALSHA", proxies...)
		start := time.Now()
		err := lock.Unlock(cancelled(t))
		took := time.Since(start)
		letGo(proxies...)
		wantMatch(t, err, redlock.ErrNoQuorum, context.Canceled)
		wantBound(t, took, nodeTimeout)
		q.WantFree(t, lock.Resource(), 5*time.Second)
	})
}
