package otelredlock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestALockIsHeldUntilItsHolderGivesItBack(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	first, second := b.mustLock("first"), b.mustLock("second")
	b.want("redlock.lock.held", counts{"": 2})
	if err := first.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want("redlock.lock.held", counts{"": 1})
	b.want("redlock.hold.duration", counts{"": 1})
	if err := second.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want("redlock.lock.held", counts{"": 0})
}

func TestALockThatIsUnlockedAgainAndAgainIsCountedOutOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	lock := b.mustLock("report")
	b.quorum.StopNode(0)
	b.quorum.StopNode(1)
	if err := lock.Unlock(t.Context()); !errors.Is(err, redlock.ErrNoQuorum) {
		t.Fatalf("got %v, want ErrNoQuorum", err)
	}
	b.want("redlock.lock.held", counts{"": 0})
	for i := range 2 {
		b.quorum.StartNode(i)
	}
	for range 3 {
		_ = lock.Unlock(t.Context()) // whatever it says: the lock is over
	}
	b.want("redlock.lock.held", counts{"": 0})
	b.want("redlock.hold.duration", counts{"": 1})
	b.want("redlock.release.duration", counts{"error.type=no_quorum": 1})
}

func TestALockThatIsUnlockedAfterItWasLostIsCountedOutOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	lock := b.mustLock("report", redlock.WithTTL(time.Second))
	<-lock.Done()
	if err := lock.Unlock(t.Context()); !errors.Is(err, redlock.ErrExpired) {
		t.Fatalf("got %v, want ErrExpired", err)
	}
	<-b.lost
	b.want("redlock.lock.held", counts{"": 0})
	b.want("redlock.lock.losses", counts{"error.type=expired": 1, "error.type=lost": 0})
	b.want("redlock.hold.duration", counts{"error.type=expired": 1})
}

func TestALockThatIsFoundToBeLostByItsUnlockIsALoss(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	lock := b.mustLock("report")
	if err := b.other.ForceUnlock(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(t.Context()); !errors.Is(err, redlock.ErrLost) {
		t.Fatalf("got %v, want ErrLost", err)
	}
	b.want("redlock.lock.held", counts{"": 0})
	b.want("redlock.lock.losses", counts{"error.type=expired": 0, "error.type=lost": 1})
	b.want("redlock.hold.duration", counts{"error.type=lost": 1})
}

func TestALockThatCloseGivesBackIsCountedOutWithoutACall(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	b.mustLock("report")
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want("redlock.lock.held", counts{"": 0})
	b.want("redlock.hold.duration", counts{"": 1})
	if m, found := b.metrics()["redlock.release.duration"]; found {
		t.Errorf("nobody has called Unlock, and there is %v", m)
	}
	for _, span := range b.spans.GetSpans() {
		if span.Name != "redlock acquire" {
			t.Errorf("nobody has called Unlock, and there is the span %s", span.Name)
		}
	}
}

func TestAnUnlockIsARelease(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]redlock.LockEvent{
		"of a caller without a ctx of its own": {Context: context.Background(), Duration: time.Millisecond},
		"in fake time":                         {Context: t.Context()},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGauge(t)
			g.hooks.Released(e)
			g.want("redlock.release.duration", counts{"": 1})
		})
	}
}

func TestDoIsAnAcquisitionAndARelease(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	err := b.Do(t.Context(), "report", func(context.Context, *redlock.Lock) error {
		b.want("redlock.lock.held", counts{"": 1})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.want("redlock.lock.held", counts{"": 0})
	b.want("redlock.acquire.duration", counts{"": 1})
	b.want("redlock.release.duration", counts{"": 1})
}

func TestACallThatHadToWaitIsMeasuredAsAWaitToo(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	lock, err := b.other.TryLock(t.Context(), "report", redlock.WithTTL(never))
	if err != nil {
		t.Fatal(err)
	}
	soon := redlock.WithBackoff(func(int) time.Duration { return time.Millisecond })
	_, err = b.Lock(t.Context(), "report", redlock.WithAttempts(2), soon)
	if !errors.Is(err, redlock.ErrTaken) {
		t.Fatalf("got %v, want ErrTaken", err)
	}
	released := redlock.WithBackoff(func(int) time.Duration {
		_ = lock.Unlock(context.Background())
		return time.Millisecond
	})
	if _, err := b.Lock(t.Context(), "report", released); err != nil {
		t.Fatal(err)
	}
	b.mustLock("another, which is free")
	b.want("redlock.wait.duration", counts{"": 1, "error.type=taken": 1})
	b.want("redlock.acquire.duration", counts{"": 2, "error.type=taken": 1})
}

func TestRenewalsAreMeasured(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	b.mustLock("report", redlock.WithTTL(2*time.Second), redlock.WithAutoRenew())
	for range 2 {
		<-b.renewed
	}
	if c := b.counts("redlock.renewal.duration"); c[""] < 2 {
		t.Errorf("two renewals at least were reported, and measured were %v", c)
	}
}

func TestLossesAreAtZeroBeforeThereIsOne(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	g.hooks.Acquired(redlock.LockEvent{Context: t.Context()})
	g.want("redlock.lock.losses", counts{"error.type=expired": 0, "error.type=lost": 0})
}
