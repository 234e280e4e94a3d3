package redlocktest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

const (
	// never is a TTL that no test waits for.
	never = time.Hour

	// patience is a NodeTimeout that a busy machine does not use up.
	patience = 5 * time.Second
)

func TestALockThatIsHeldIsRefusedToAnotherManagerOnTheSameNodes(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 5)
	other := another(t, q)
	lock, err := q.Manager.TryLock(t.Context(), "report")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
		t.Fatalf("got %v, want ErrTaken", err)
	}
	if err := lock.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.TryLock(t.Context(), "report"); err != nil {
		t.Fatalf("after the unlock: %v", err)
	}
}

func TestKeysExpireAsTimePasses(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 3)
	other := another(t, q)
	if _, err := q.Manager.TryLock(t.Context(), "report", redlock.WithTTL(500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := other.Lock(ctx, "report"); err != nil {
		t.Fatalf("nobody has extended the first lock: %v", err)
	}
}

func TestAMinorityOfStoppedNodesTakesNoLockAway(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 5)
	lock, err := q.Manager.TryLock(t.Context(), "report")
	if err != nil {
		t.Fatal(err)
	}
	q.StopNode(0)
	q.StopNode(4)
	if err := lock.Extend(t.Context(), 0); err != nil {
		t.Fatalf("extend with two of five nodes stopped: %v", err)
	}
	if err := lock.Unlock(t.Context()); err != nil {
		t.Fatalf("unlock with two of five nodes stopped: %v", err)
	}
}

func TestWithoutAMajorityThereIsNoQuorumAndTheStoppedNodesAreNamed(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 3)
	q.StopNode(0)
	q.StopNode(2)
	_, err := q.Manager.TryLock(t.Context(), "report")
	if !errors.Is(err, redlock.ErrNoQuorum) {
		t.Fatalf("got %v, want ErrNoQuorum", err)
	}
	for _, i := range []int{0, 2} {
		if name := q.Nodes()[i].String(); !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestANodeThatWasStartedAgainVotesAndHasForgottenItsKeys(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 1)
	lock, err := q.Manager.TryLock(t.Context(), "report", redlock.WithTTL(never))
	if err != nil {
		t.Fatal(err)
	}
	before := q.Nodes()[0].String()
	q.StopNode(0)
	q.StartNode(0)
	if after := q.Nodes()[0].String(); after != before {
		t.Fatalf("it was %s and is %s", before, after)
	}
	other := another(t, q)
	if _, err := other.TryLock(t.Context(), "report"); err != nil {
		t.Fatalf("on the node that was started again: %v", err)
	}
	if !lock.Valid() {
		t.Fatal("the first holder cannot know of it yet")
	}
}

func TestStoppingTwiceAndStartingTwiceDoNothing(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 1)
	q.StopNode(0)
	q.StopNode(0)
	q.StartNode(0)
	if _, err := another(t, q).TryLock(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	q.StartNode(0)
	if _, err := another(t, q).TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
		t.Fatalf("got %v, want ErrTaken of a node that was running", err)
	}
}

func TestAMinorityOfPausedNodesTakesNoLockAway(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 5)
	lock, err := q.Manager.TryLock(t.Context(), "report")
	if err != nil {
		t.Fatal(err)
	}
	q.PauseNode(1)
	q.PauseNode(3)
	if err := lock.Extend(t.Context(), 0); err != nil {
		t.Fatalf("extend with two of five nodes paused: %v", err)
	}
	if err := lock.Unlock(t.Context()); err != nil {
		t.Fatalf("unlock with two of five nodes paused: %v", err)
	}
}

func TestAdvanceExpiresKeysAndTheHolderLearnsOfItWhenItAsks(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 3)
	other := another(t, q)
	lock, err := q.Manager.TryLock(t.Context(), "report", redlock.WithTTL(never))
	if err != nil {
		t.Fatal(err)
	}
	q.Advance(never - time.Minute)
	if _, err := other.TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
		t.Fatalf("a minute before the keys expire: got %v, want ErrTaken", err)
	}
	q.Advance(time.Minute)
	if _, err := other.TryLock(t.Context(), "report"); err != nil {
		t.Fatalf("when the keys have expired: %v", err)
	}
	if !lock.Valid() {
		t.Error("the holder's own time was moved")
	}
	if err := lock.Extend(t.Context(), 0); !errors.Is(err, redlock.ErrLost) {
		t.Errorf("the holder asks: got %v, want ErrLost", err)
	}
}

func TestEachQuorumHasNodesOfItsOwn(t *testing.T) {
	t.Parallel()
	one, two := redlocktest.New(t, 3), redlocktest.New(t, 3)
	for _, q := range []*redlocktest.Quorum{one, two} {
		if _, err := q.Manager.TryLock(t.Context(), "report"); err != nil {
			t.Error(err)
		}
	}
	one.StopNode(0)
	one.StopNode(1)
	if _, err := two.Manager.TryLock(t.Context(), "invoice"); err != nil {
		t.Errorf("the nodes of another quorum have stopped: %v", err)
	}
}

func TestNodesGiveTheLibraryNothingToWarnAbout(t *testing.T) {
	t.Parallel()
	q := redlocktest.New(t, 3)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: patience}, redlock.WithLogger(logger))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Fatal(log.String())
	}
}

func TestCloseEndsLocksAndNodes(t *testing.T) {
	t.Parallel()
	q, err := redlocktest.Start(3)
	if err != nil {
		t.Fatal(err)
	}
	other := another(t, q)
	lock, err := q.Manager.TryLock(t.Context(), "report", redlock.WithTTL(never))
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	if err := lock.Err(); !errors.Is(err, redlock.ErrReleased) {
		t.Errorf("the lock: got %v, want ErrReleased", err)
	}
	if _, err := q.Manager.TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrClosed) {
		t.Errorf("the manager: got %v, want ErrClosed", err)
	}
	q.Close()
	for i := range q.Nodes() {
		q.StartNode(i)
		q.ResumeNode(i)
	}
	if err := other.Ping(t.Context()); !errors.Is(err, redlock.ErrNoQuorum) {
		t.Errorf("the nodes: got %v, want ErrNoQuorum", err)
	}
}

func TestAQuorumNeedsANode(t *testing.T) {
	t.Parallel()
	if _, err := redlocktest.Start(0); !errors.As(err, new(*redlock.ConfigError)) {
		t.Fatalf("got %v, want a *ConfigError", err)
	}
}

// another is a manager of another process on the nodes of q.
func another(t *testing.T, q *redlocktest.Quorum) *redlock.Manager {
	t.Helper()
	m, err := redlock.New(redlock.Config{Nodes: q.Nodes(), NodeTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Nobody waits for keys on nodes that end with the test.
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.Close(ended)
	})
	return m
}
