package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestUnlockIsNilWhereAMajorityDeletedTheKey(t *testing.T) {
	t.Parallel()
	t.Run("the third node is dead", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			e.cutOff(2)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			wantOver(t, lock, redlock.ErrReleased)
			e.mend(t)
			e.WantFree(t, lock.Resource(), 10*time.Second)
		})
	})
	t.Run("the third node is silent", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			e.holdCommands("", 2)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("the third node has lost the key", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := stolen(t, e, 2)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			e.WantValues(t, lock.Resource(), 10*time.Second, "", "", "thief")
		})
	})
}

// Zeros on so many nodes that a majority can no longer have deleted: two of
// three, and two of four.
func TestUnlockIsLostWhereAMajorityCanNoLongerHaveDeleted(t *testing.T) {
	for n, name := range map[int]string{3: "two of three nodes", 4: "two of four nodes"} {
		t.Run(name, func(t *testing.T) {
			edgeRows(t, n, slow, func(t *testing.T, e *edgeBed) {
				lock := stolen(t, e, 0, 1)
				err := lock.Unlock(t.Context())
				wantMatch(t, err, redlock.ErrLost, redlock.ErrNotHeld)
				wantNoMatch(t, err, redlock.ErrNoQuorum, redlock.ErrReleased)
				e.WantValues(t, lock.Resource(), 10*time.Second, []string{"thief", "thief", "", ""}[:n]...)
			})
		})
	}
	t.Run("whatever a silent node would say", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := stolen(t, e, 0, 1)
			e.holdCommands("", 2)
			took := timed(func() { wantMatch(t, lock.Unlock(t.Context()), redlock.ErrLost) })
			if took > slow.NodeTimeout/2 {
				t.Errorf("it took %v", took)
			}
		})
	})
}

func TestAnUnlockWithoutAQuorumCanBeAskedAgain(t *testing.T) {
	t.Run("the nodes were dead", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			e.cutOff(0, 1)
			unlockInVain(t, lock)
			e.mend(t)
			e.connect(t)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Errorf("asked again: %v", err)
			}
			wantMatch(t, lock.Unlock(t.Context()), redlock.ErrReleased)
			e.WantFree(t, lock.Resource(), 10*time.Second)
		})
	})
	t.Run("the answers were lost", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			for _, p := range e.proxies {
				p.Handle(loseReplies)
			}
			unlockInVain(t, lock)
			e.WantFree(t, lock.Resource(), 10*time.Second) // they were executed
			e.mend(t)
			eventually(t, 20*time.Second, func() error { return lock.Unlock(t.Context()) })
		})
	})
	t.Run("one node deleted, one did not, one is dead", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := stolen(t, e, 0)
			e.cutOff(2)
			unlockInVain(t, lock)
			e.mend(t)
			e.connect(t)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Errorf("asked again: %v", err)
			}
		})
	})
}

// unlockInVain unlocks without a quorum: the lock is over all the same.
func unlockInVain(t *testing.T, lock *redlock.Lock) {
	t.Helper()
	err := lock.Unlock(t.Context())
	wantMatch(t, err, redlock.ErrNoQuorum)
	wantNoMatch(t, err, redlock.ErrNotHeld)
	wantOver(t, lock, redlock.ErrReleased)
}

func TestUnlockAfterSuccessIsReleasedAndAsksNobody(t *testing.T) {
	edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.quieten(t)
		asked := e.sentAny()
		for range 3 {
			wantMatch(t, lock.Unlock(t.Context()), redlock.ErrReleased, redlock.ErrNotHeld)
		}
		e.quieten(t)
		if n := e.sentAny() - asked; n != 0 {
			t.Errorf("%d commands were sent", n)
		}
	})
}

// lapsing is a lock that is over two seconds after it was taken, ten seconds
// before the nodes let go of it.
var lapsing = redlock.Config{NodeTimeout: time.Second, TTL: 12 * time.Second, Margin: 10 * time.Second}

func TestUnlockOfALockThatIsOverIsItsErrWhateverTheVotes(t *testing.T) {
	t.Parallel()
	t.Run("expired, all nodes answer", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, lapsing, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			awaitEnd(t, lock)
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrExpired, redlock.ErrNotHeld)
			wantNoMatch(t, err, redlock.ErrReleased, redlock.ErrNoQuorum)
		})
	})
	t.Run("expired, all nodes dead", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, lapsing, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			e.cutOff(0, 1, 2)
			awaitEnd(t, lock)
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrExpired)
			wantNoMatch(t, err, redlock.ErrNoQuorum)
		})
	})
	t.Run("lost, and a majority deletes it", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := stolen(t, e, 0, 1)
			wantMatch(t, lock.Extend(t.Context(), 0), redlock.ErrLost)
			e.takeOn(t, lock.Resource(), lock.Token(), time.Minute, 0, 1)
			err := lock.Unlock(t.Context())
			wantMatch(t, err, redlock.ErrLost)
			wantNoMatch(t, err, redlock.ErrReleased)
		})
	})
}

// A given token's release is never repeated by itself: what deletes the key after
// the node was away is Unlock.
func TestUnlockOfALockThatIsOverAsksTheNodesAllTheSame(t *testing.T) {
	cfg := redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute, Margin: 57 * time.Second}
	edgeRows(t, 3, cfg, func(t *testing.T, e *edgeBed) {
		lock := e.mustTake(t, redlock.WithToken("given"))
		e.cutOff(0, 1, 2)
		awaitEnd(t, lock)
		e.mend(t)
		e.connect(t)
		e.WantValues(t, lock.Resource(), 10*time.Second, "given", "given", "given")
		wantMatch(t, lock.Unlock(t.Context()), redlock.ErrExpired)
		e.WantFree(t, lock.Resource(), 10*time.Second)
	})
}

// unlockings are the results of five concurrent Unlocks that nobody answers before
// then is called.
func unlockings(t *testing.T, e *edgeBed, lock *redlock.Lock, then func()) []error {
	t.Helper()
	e.holdReplies("EVALSHA", 0, 1, 2)
	errs := make([]error, 5)
	var begun, ended sync.WaitGroup
	for i := range errs {
		begun.Add(1)
		ended.Go(func() {
			begun.Done()
			errs[i] = lock.Unlock(context.Background())
		})
	}
	begun.Wait()
	time.Sleep(50 * time.Millisecond) // until all of them wait
	then()
	ended.Wait()
	return errs
}

func TestOfConcurrentUnlocksTheFirstAsksAndTheOthersWaitForIt(t *testing.T) {
	t.Run("after its success they are released", func(t *testing.T) {
		edgeRows(t, 3, slow, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			succeeded := 0
			for _, err := range unlockings(t, e, lock, func() { e.mend(t) }) {
				if err == nil {
					succeeded++
					continue
				}
				wantMatch(t, err, redlock.ErrReleased)
			}
			if succeeded != 1 {
				t.Errorf("%d of them succeeded", succeeded)
			}
			e.quieten(t)
			for i := range e.proxies {
				if n := e.sent(i, "EVALSHA"); n != 1 {
					t.Errorf("node %d was asked %d times", i, n)
				}
			}
		})
	})
	t.Run("else they have its error", func(t *testing.T) {
		t.Parallel()
		edgeRows(t, 3, brief, func(t *testing.T, e *edgeBed) {
			lock := e.mustTake(t)
			errs := unlockings(t, e, lock, func() {})
			for _, err := range errs {
				wantMatch(t, err, redlock.ErrNoQuorum)
				var first, this *redlock.QuorumError
				if !errors.As(errs[0], &first) || !errors.As(err, &this) || first != this {
					t.Errorf("they differ: %v and %v", errs[0], err)
				}
			}
		})
	})
}
