package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// slow is a node timeout that nobody waits for whose verdict is decided before.
var slow = redlock.Config{NodeTimeout: 20 * time.Second, TTL: time.Minute}

func TestNoCallWaitsForNodesThatCannotChangeItsVerdict(t *testing.T) {
	edgeRows(t, 5, slow, func(t *testing.T, e *edgeBed) {
		e.holdCommands("", 3, 4)
		took := timed(func() {
			lock, err := e.m.Lock(t.Context(), e.Resource(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Extend(t.Context(), 0); err != nil {
				t.Error(err)
			}
			if held, err := lock.IsHeld(t.Context()); !held || err != nil {
				t.Errorf("IsHeld is %v, %v", held, err)
			}
			wantLocked(t, e.m, lock.Resource(), true)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if took > slow.NodeTimeout/2 {
			t.Errorf("it took %v with two silent nodes of five", took)
		}
	})
}

func TestARefusalByAMajorityIsNotHeldUpByASilentNode(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.Take(t, 2, resource, "someone", time.Minute)
		e.holdCommands("", 2)
		if took := wantRefusal(t, e, resource, redlock.ErrTaken, redlock.ErrNoQuorum); took > slow.NodeTimeout/2 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestADeadMajorityIsNotHeldUpByASilentNode(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		e.cutOff(0, 1)
		e.holdCommands("", 2)
		if took := wantRefusal(t, e, e.Resource(t), redlock.ErrNoQuorum, redlock.ErrTaken); took > slow.NodeTimeout/2 {
			t.Errorf("it took %v", took)
		}
	})
}

// wantRefusal has a TryLock end with the error want, and not with the other
// verdict; it returns how long that took.
func wantRefusal(t *testing.T, e *edgeBed, resource string, want, other error) time.Duration {
	t.Helper()
	return timed(func() {
		_, err := e.m.TryLock(t.Context(), resource)
		wantMatch(t, err, want)
		wantNoMatch(t, err, other)
	})
}

// With one refusal and one dead node of three, the third node decides.
func TestTheThirdNodeDecidesBetweenARefusalAndADeadNode(t *testing.T) {
	t.Parallel()
	const late = 500 * time.Millisecond
	// split has node 0 refuse and node 1 dead.
	split := func(t *testing.T, e *edgeBed, takenOnThird bool) (resource string) {
		t.Helper()
		resource = e.Resource(t)
		e.takeOn(t, resource, "someone", time.Minute, 0)
		if takenOnThird {
			e.takeOn(t, resource, "someone", time.Minute, 2)
		}
		e.cutOff(1)
		return resource
	}
	wantLate := func(t *testing.T, took time.Duration) {
		t.Helper()
		if took < late {
			t.Errorf("it did not wait for the third node: %v", took)
		}
	}
	t.Run("a late refusal makes it taken", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := split(t, e, true)
			e.delayReplies(2, late)
			wantLate(t, wantRefusal(t, e, resource, redlock.ErrTaken, redlock.ErrNoQuorum))
		})
	})
	t.Run("a late grant makes it no quorum", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := split(t, e, false)
			e.delayReplies(2, late)
			wantLate(t, wantRefusal(t, e, resource, redlock.ErrNoQuorum, redlock.ErrTaken))
		})
	})
	t.Run("silence makes it no quorum after a node timeout", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			resource := split(t, e, false)
			e.holdCommands("", 2)
			wantBound(t, wantRefusal(t, e, resource, redlock.ErrNoQuorum, redlock.ErrTaken), nodeTimeout)
		})
	})
}

// The first pause of a Lock comes after its first try: whoever is called then
// knows that one try, and no more, is complete.
func TestAWaitThatEndsWithItsContextMatchesTheLastVerdictAndTheContext(t *testing.T) {
	t.Parallel()
	t.Run("the lock was taken", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.Take(t, 3, resource, "someone", time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := e.m.Lock(ctx, resource)
			wantMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
			wantNoMatch(t, err, redlock.ErrNoQuorum)
		})
	})
	t.Run("there was no quorum", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			e.cutOff(0, 1)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := e.m.Lock(ctx, e.Resource(t), atPause(1, cancel))
			wantMatch(t, err, redlock.ErrNoQuorum, context.Canceled)
			wantNoMatch(t, err, redlock.ErrTaken)
		})
	})
	t.Run("the last of several tries counts", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.Take(t, 3, resource, "someone", time.Minute)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := e.m.Lock(ctx, resource, atPauses(map[int]func(){
				1: func() { e.cutOff(0, 1) },
				2: cancel,
			}))
			wantMatch(t, err, redlock.ErrNoQuorum, context.Canceled)
			wantNoMatch(t, err, redlock.ErrTaken)
		})
	})
	t.Run("a try that ctx cut short does not count", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			resource := e.Resource(t)
			e.Take(t, 3, resource, "someone", time.Minute)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e.whenSent(t, cancel, "EVALSHA", 1, 0, 1, 2) // the second try is a script
			_, err := e.m.Lock(ctx, resource, atPause(1, func() { e.holdCommands("EVALSHA", 0, 1, 2) }))
			wantMatch(t, err, redlock.ErrTaken, context.Canceled)
			wantNoMatch(t, err, redlock.ErrNoQuorum)
		})
	})
}

func TestALockThatIsCutShortInItsFirstTryMatchesTheContextAlone(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		e.holdCommands("SET", 0, 1, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.whenSent(t, cancel, "SET", 1, 0, 1, 2)
		_, err := e.m.Lock(ctx, e.Resource(t))
		wantMatch(t, err, context.Canceled)
		wantNoMatch(t, err, redlock.ErrTaken, redlock.ErrNoQuorum)
	})
}
