package integration

import (
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestIsLockedCountsTheNodesOnWhichTheKeyExistsWhateverItsValue(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, resource := q.New(t, redlock.Config{}), q.Resource(t)
		wantLocked(t, m, resource, false)
		q.Take(t, 1, resource, "someone", 0)
		wantLocked(t, m, resource, false)
		if err := q.Servers[1].Client.RPush(t.Context(), resource, "no", "lock").Err(); err != nil {
			t.Fatal(err)
		}
		wantLocked(t, m, resource, true)
		for _, s := range q.Servers[:2] {
			s.Client.Del(t.Context(), resource)
		}
		wantLocked(t, m, resource, false)

		lock, err := q.New(t, redlock.Config{TTL: time.Minute}).TryLock(t.Context(), resource)
		if err != nil {
			t.Fatal(err)
		}
		wantLocked(t, m, resource, true)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.WantFree(t, resource, 10*time.Second)
		wantLocked(t, m, resource, false)
	})
}

func TestIsLockedIsFalseWhereNoMissingAnswerCouldChangeThat(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		e.holdCommands("EXISTS", 2)
		took := timed(func() { wantLocked(t, e.m, e.Resource(t), false) })
		if took > slow.NodeTimeout/2 {
			t.Errorf("it took %v", took)
		}
		e.mend(t)
		e.cutOff(2)
		wantLocked(t, e.m, e.Resource(t), false)
	})
}

func TestIsLockedIsTrueWithADeadNode(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.takeOn(t, resource, "someone", time.Minute, 0, 2)
		e.cutOff(1)
		wantLocked(t, e.m, resource, true)
	})
}

func TestIsLockedHasNoQuorumWhereMissingAnswersCouldChangeIt(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		free, split := e.Resource(t), e.Resource(t)
		e.takeOn(t, split, "someone", time.Minute, 0)
		e.cutOff(2)
		locked, err := e.m.IsLocked(t.Context(), split) // the dead node could make it two
		if wantMatch(t, err, redlock.ErrNoQuorum); locked {
			t.Error("it is locked")
		}
		wantLocked(t, e.m, free, false)
		e.cutOff(1)
		locked, err = e.m.IsLocked(t.Context(), free)
		if wantMatch(t, err, redlock.ErrNoQuorum); locked {
			t.Error("it is locked")
		}
	})
}

func TestIsHeldOfALockThatIsOverIsFalseWithItsErrAndAsksNobody(t *testing.T) {
	cfg := redlock.Config{NodeTimeout: patience, TTL: 4 * time.Second, Margin: 2 * time.Second}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		released, lost, expired := e.mustTake(t), e.mustTake(t, redlock.WithTTL(time.Minute)), e.mustTake(t)
		if err := released.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.Take(t, 3, lost.Resource(), "someone", time.Minute)
		_, err := lost.IsHeld(t.Context())
		wantMatch(t, err, redlock.ErrLost)
		awaitEnd(t, expired)
		for _, lock := range []*redlock.Lock{released, expired} { // what releases them has been sent
			e.WantFree(t, lock.Resource(), 5*time.Second)
		}
		e.quieten(t)
		asked := e.sentAny()
		for lock, want := range map[*redlock.Lock]error{
			released: redlock.ErrReleased, lost: redlock.ErrLost, expired: redlock.ErrExpired,
		} {
			held, err := lock.IsHeld(t.Context())
			wantMatch(t, err, want, redlock.ErrNotHeld)
			if wantMatch(t, lock.Err(), want); held {
				t.Error("it is held")
			}
		}
		e.quieten(t)
		if n := e.sentAny() - asked; n != 0 {
			t.Errorf("%d commands were sent", n)
		}
	})
}

// stolen is a lock of e whose key somebody else has on the nodes.
func stolen(t *testing.T, e *edgeBed, nodes ...int) *redlock.Lock {
	t.Helper()
	lock := e.mustTake(t)
	e.takeOn(t, lock.Resource(), "thief", time.Minute, nodes...)
	return lock
}

func TestIsHeldIsTrueWhereAMajorityHasTheKey(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := stolen(t, e, 2)
		if held, err := lock.IsHeld(t.Context()); !held || err != nil {
			t.Errorf("got %v, %v", held, err)
		}
		if err := lock.Err(); err != nil {
			t.Errorf("it is over: %v", err)
		}
	})
}

func TestIsHeldWithoutAQuorumLeavesTheLockAsItIs(t *testing.T) {
	edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
		lock := stolen(t, e, 0)
		e.cutOff(1)
		held, err := lock.IsHeld(t.Context())
		if wantMatch(t, err, redlock.ErrNoQuorum); held {
			t.Error("it is held")
		}
		if err := lock.Err(); err != nil {
			t.Errorf("it is over: %v", err)
		}
	})
}
