package redlocktest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

func TestInABubbleLocksExpireByItsClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 5)
		other := another(t, q)
		lock := mustLock(t, q, time.Minute)
		start := time.Now()
		if _, err := other.Lock(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited < 59*time.Second || waited > time.Minute {
			t.Errorf("the second holder has waited for %v", waited)
		}
		if err := lock.Err(); !errors.Is(err, redlock.ErrExpired) {
			t.Errorf("the first holder: got %v, want ErrExpired", err)
		}
	})
}

func TestInABubbleAdvanceIsAddedToItsClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 3)
		mustLock(t, q, never)
		q.Advance(never / 2)
		passTime(never/2 - time.Minute)
		if _, err := another(t, q).TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
			t.Fatalf("got %v, want ErrTaken", err)
		}
		passTime(time.Minute)
		if _, err := another(t, q).TryLock(t.Context(), "report"); err != nil {
			t.Fatal(err)
		}
	})
}

// A goroutine that is left over ends a bubble with a panic.
func TestNoGoroutineOutlivesTheTestWhateverItsNodesAreDoing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waiter := make(chan error, 1)
		t.Cleanup(func() { // after that of New
			if err := <-waiter; !errors.Is(err, redlock.ErrClosed) {
				t.Errorf("who waits for a lock: got %v, want ErrClosed", err)
			}
		})
		q := redlocktest.New(t, 5)
		if _, err := q.Manager.TryLock(t.Context(), "renewed", redlock.WithAutoRenew()); err != nil {
			t.Fatal(err)
		}
		mustLock(t, q, never)
		go func() {
			_, err := q.Manager.Lock(context.Background(), "report")
			waiter <- err
		}()
		synctest.Wait()
		q.StopNode(0)
		q.PauseNode(1)
		q.StopNode(2)
		q.StartNode(2)
		passTime(time.Minute)
		q.PauseNode(3)
		passTime(time.Second) // what was sent since is not answered
	})
}

func TestALockEndsWhenAMajorityHasStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 5)
		start := time.Now()
		err := q.Manager.Do(t.Context(), "report", func(ctx context.Context, lock *redlock.Lock) error {
			passTime(time.Minute) // it is renewed
			for i := range 3 {
				q.StopNode(i)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if !errors.Is(err, redlock.ErrExpired) {
			t.Errorf("got %v, want ErrExpired", err)
		}
		if took := time.Since(start); took < time.Minute || took > 70*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAStoppedNodeThatIsStartedVotesAgainWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 1)
		mustLock(t, q, never)
		q.StopNode(0)
		passTime(time.Minute)
		q.StartNode(0)
		passTime(time.Second)
		if err := q.Manager.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAPausedNodeIsSilentAndExecutesWhatItWasSentWhenItGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 1)
		open := connect(t, q)
		q.PauseNode(0)
		gone := connect(t, q)
		for _, conn := range []net.Conn{open, gone} {
			mustBeSilent(t, conn)
		}
		_, _ = gone.Write([]byte("*3\r\n$3\r\nSET\r\n$6\r\nreport\r\n$7\r\nsomeone\r\n"))
		_ = gone.Close()
		passTime(time.Hour)
		q.ResumeNode(0)
		synctest.Wait()
		_ = open.SetReadDeadline(time.Time{})
		if _, err := io.ReadFull(open, make([]byte, len("+PONG\r\n"))); err != nil {
			t.Errorf("the connection is not what it was: %v", err)
		}
		if _, err := q.Manager.TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
			t.Errorf("got %v, want ErrTaken by who has sent it and gone", err)
		}
	})
}

func TestAPausedMajorityCostsACallTheNodeTimeoutOfTheManager(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 3)
		mustLock(t, q, never)
		q.PauseNode(0)
		q.PauseNode(1)
		start := time.Now()
		if _, err := q.Manager.TryLock(t.Context(), "invoice"); !errors.Is(err, redlock.ErrNoQuorum) {
			t.Errorf("got %v, want ErrNoQuorum", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAStoppedNodeBreaksItsConnectionsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 1)
		conn := connect(t, q)
		q.StopNode(0)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want that the connection was reset", err)
		}
		if _, err := dial(t, q); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want that a new one is refused", err)
		}
	})
}

func TestStoppingPausingAndStartingDoNotDependOnTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := redlocktest.New(t, 1)
		mustLock(t, q, never)

		q.PauseNode(0)
		q.StartNode(0)
		q.ResumeNode(0)
		if _, err := another(t, q).TryLock(t.Context(), "report"); !errors.Is(err, redlock.ErrTaken) {
			t.Errorf("starting a paused node is to do nothing: got %v, want ErrTaken", err)
		}

		q.PauseNode(0)
		q.StopNode(0)
		q.PauseNode(0)
		q.StartNode(0)
		if _, err := another(t, q).TryLock(t.Context(), "report"); err != nil {
			t.Errorf("it was stopped, and is to run and to be empty: %v", err)
		}
		q.ResumeNode(0)
		if err := another(t, q).Ping(t.Context()); err != nil {
			t.Errorf("resuming what runs is to do nothing: %v", err)
		}
	})
}

// mustLock takes a lock by the quorum's own manager, and waits for all nodes to
// have it.
func mustLock(t *testing.T, q *redlocktest.Quorum, ttl time.Duration) *redlock.Lock {
	t.Helper()
	lock, err := q.Manager.TryLock(t.Context(), "report", redlock.WithTTL(ttl))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return lock
}

// connect dials the first node.
func connect(t *testing.T, q *redlocktest.Quorum) net.Conn {
	t.Helper()
	conn, err := dial(t, q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func dial(t *testing.T, q *redlocktest.Quorum) (net.Conn, error) {
	node := q.Nodes()[0]
	return node.Dialer(t.Context(), "tcp", node.String())
}

// mustBeSilent asks for a sign of life and wants none.
func mustBeSilent(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want nothing", err)
	}
}

// passTime moves the bubble's clock.
func passTime(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in bubbles alone: it costs no time
	synctest.Wait()
}
