package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// onOneToFiveNodes runs a test on one, three and five nodes of each kind. The
// first is the test's own, to be broken; the others are shared.
func onOneToFiveNodes(t *testing.T, options servers.Options, test func(t *testing.T, q *Quorum)) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			onEachKind(t, func(t *testing.T, kind servers.Kind) {
				all := append(servers.StartN(t, kind, 1, options), shared(t, kind)[:n-1]...)
				test(t, quorumOf(kind, all))
			})
		})
	}
}

// loseAndHold takes a lock on all nodes, has the first one leave, and uses the lock
// meanwhile: with the others all goes on, alone nothing does.
func loseAndHold(t *testing.T, q *Quorum, m *redlock.Manager, leave func(testing.TB)) *redlock.Lock {
	t.Helper()
	held := mustTry(t, m, q.Resource(t))
	q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
	leave(t)
	err := held.Extend(t.Context(), 0)
	switch {
	case len(q.Nodes) == 1:
		wantNoQuorumOf(t, "Extend", err, q, 0)
	case err != nil:
		t.Errorf("extending without the node: %v", err)
	}
	if !held.Valid() {
		t.Errorf("without the node the lock is over: %v", held.Err())
	}
	return held
}

// useMeanwhile takes a lock and gives it back while the first node is away, and
// returns the name: nothing of it may be left when the node is back.
func useMeanwhile(t *testing.T, q *Quorum, m *redlock.Manager) string {
	t.Helper()
	resource := q.Resource(t)
	if lock, err := m.TryLock(t.Context(), resource); err == nil {
		mustUnlock(t, lock)
	} else if len(q.Nodes) > 1 {
		t.Error(err)
	}
	return resource
}

// wantHeld fails the test unless the lock is ours, is refused to others, and can be
// given back.
func wantHeld(t *testing.T, q *Quorum, m *redlock.Manager, held *redlock.Lock) {
	t.Helper()
	if err := held.Extend(t.Context(), 0); err != nil {
		t.Errorf("extending: %v", err)
	}
	if _, err := m.TryLock(t.Context(), held.Resource()); !errors.Is(err, redlock.ErrTaken) {
		t.Errorf("another gets %v, want ErrTaken", err)
	}
	mustUnlock(t, held)
	q.WantFree(t, held.Resource(), 5*time.Second)
}

var briskly = redlock.Config{NodeTimeout: time.Second, TTL: time.Minute}

func TestANodeThatRestartsWithItsDataVotesAgainAtOnceAndKeepsItsLocks(t *testing.T) {
	onOneToFiveNodes(t, servers.Options{Durable: true}, func(t *testing.T, q *Quorum) {
		m, broken := newConnected(t, q, briskly), q.Servers[0]
		held := loseAndHold(t, q, m, broken.Kill)
		late := useMeanwhile(t, q, m)
		broken.Restart(t)
		wantVoteOf(t, q, m, broken, comingBack)
		q.WantFree(t, late, 5*time.Second)
		if value := q.Values(t, held.Resource())[0]; value != held.Token() {
			t.Errorf("the node keeps %q, want the lock's token", value)
		}
		wantHeld(t, q, m, held)
	})
}

func TestANodeThatRestartsEmptyVotesAgainAtOnceAndCostsALockOneVote(t *testing.T) {
	onOneToFiveNodes(t, servers.Options{}, func(t *testing.T, q *Quorum) {
		m, broken := newConnected(t, q, briskly), q.Servers[0]
		held := loseAndHold(t, q, m, broken.Kill)
		late := useMeanwhile(t, q, m)
		broken.Restart(t)
		wantVoteOf(t, q, m, broken, comingBack)
		q.WantFree(t, late, 5*time.Second)
		if len(q.Nodes) > 1 {
			wantHeld(t, q, m, held)
			return
		}
		if err := held.Extend(t.Context(), 0); !errors.Is(err, redlock.ErrLost) {
			t.Errorf("the only node has lost the lock, and Extend returned %v", err)
		}
		if err := held.Unlock(t.Context()); !errors.Is(err, redlock.ErrLost) {
			t.Errorf("Unlock returned %v, want ErrLost", err)
		}
	})
}

// What was sent while the node was stopped is executed when it goes on: the lock
// of that time too, which was given back meanwhile.
func TestANodeThatWasStoppedVotesAgainAtOnceAndLeavesNoKeyOfTheTimeBetween(t *testing.T) {
	onOneToFiveNodes(t, servers.Options{}, func(t *testing.T, q *Quorum) {
		m, broken := newConnected(t, q, briskly), q.Servers[0]
		held := loseAndHold(t, q, m, broken.Pause)
		late := useMeanwhile(t, q, m)
		broken.Continue(t)
		wantVoteOf(t, q, m, broken, comingBack)
		q.WantFree(t, late, 5*time.Second)
		wantHeld(t, q, m, held)
	})
}

func TestALockOutlivesACrashOfAllNodesThatKeepTheirData(t *testing.T) {
	rowsWith(t, 3, servers.Options{Durable: true}, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, briskly)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		for _, s := range q.Servers {
			s.Kill(t)
		}
		wantNoQuorumOf(t, "Extend", held.Extend(t.Context(), 0), q, 0, 1, 2)
		for _, s := range q.Servers {
			s.Restart(t)
		}
		for _, s := range q.Servers {
			wantVoteOf(t, q, m, s, comingBack)
		}
		wantHeld(t, q, m, held)
	})
}

// Nothing but a guard can tell such nodes from those that never had the lock.
func TestALockIsLostWhenAMajorityComesBackEmpty(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		m := newConnected(t, q, briskly)
		held := mustTry(t, m, q.Resource(t))
		q.WantEverywhere(t, held.Resource(), held.Token(), 5*time.Second)
		for _, s := range q.Servers[1:] {
			s.Restart(t)
			wantVoteOf(t, q, m, s, comingBack)
		}
		if err := held.Extend(t.Context(), 0); !errors.Is(err, redlock.ErrLost) {
			t.Errorf("Extend returned %v, want ErrLost", err)
		}
		if held.Valid() {
			t.Error("a majority has lost the lock, and it is valid")
		}
		q.WantFree(t, held.Resource(), 5*time.Second)
	})
}
