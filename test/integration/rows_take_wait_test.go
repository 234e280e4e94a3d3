package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

// quickly are the delays of a waiter that a test does not want to wait for.
func quickly() redlock.Config {
	return redlock.Config{RetryDelayMin: time.Millisecond, RetryDelayMax: 20 * time.Millisecond}
}

// refused has Lock make so many tries for a resource that someone else holds, and
// returns the pauses between them from the second on: the first one ends as soon
// as releases are listened for.
func refused(t *testing.T, q *Quorum, w *wire, m *redlock.Manager, tries int, opts ...redlock.LockOption,
) []time.Duration {
	t.Helper()
	resource := q.Resource(t)
	q.Take(t, 3, resource, "someone", 2*time.Minute)
	_, err := m.Lock(t.Context(), resource, append(opts, redlock.WithAttempts(tries))...)
	wantMatch(t, err, redlock.ErrTaken)
	pauses := w.pauses(resource)
	if len(pauses) != tries-1 {
		t.Fatalf("it made %d pauses between %d tries", len(pauses), tries)
	}
	return pauses[1:]
}

func TestAttemptsCountAllTriesTheFirstIncluded(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		for _, c := range []struct {
			config int
			option []redlock.LockOption
			want   int
		}{
			{1, nil, 1},
			{3, nil, 3},
			{5, []redlock.LockOption{redlock.WithAttempts(2)}, 2},
			{2, []redlock.LockOption{redlock.WithAttempts(0)}, 2},
			{0, []redlock.LockOption{redlock.WithAttempts(6)}, 6},
		} {
			resource, cfg := q.Resource(t), quickly()
			q.Take(t, 3, resource, "someone", time.Minute)
			cfg.Attempts = c.config
			_, err := q.New(t, cfg).Lock(t.Context(), resource, c.option...)
			wantMatch(t, err, redlock.ErrTaken)
			wantNoMatch(t, err, redlock.ErrNoQuorum, context.DeadlineExceeded, context.Canceled)
			if n := len(w.attempts(resource)); n != c.want {
				t.Errorf("of %d attempts, %d asked for, %d were made", c.want, c.config, n)
			}
		}
	})
}

func TestLockWaitsForAHolderAsLongAsItsContextAllows(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		w, resource := tap(t, q), q.Resource(t)
		q.Take(t, 3, resource, "someone", time.Minute)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_, err := q.New(t, redlock.Config{}).Lock(ctx, resource)
		wantMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
		if took := time.Since(start); took < 4*time.Second {
			t.Errorf("it gave up after %v", took)
		}
		if n := len(w.attempts(resource)); n < 4 {
			t.Errorf("it made %d tries", n)
		}
	})
}

func TestAWaiterGetsTheLockWhenItsHolderUnlocks(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		first := mustTry(t, q.New(t, redlock.Config{}), resource, redlock.WithTTL(time.Minute))
		time.AfterFunc(2*time.Second, func() { mustUnlock(t, first) })
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		second, err := q.New(t, redlock.Config{}).Lock(ctx, resource)
		if err != nil {
			t.Fatal(err)
		}
		if first.Valid() {
			t.Error("two hold the lock")
		}
		mustUnlock(t, second)
	})
}

func TestAWaiterWithoutADeadlineGetsTheLockOfAHolderThatDied(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		resource := q.Resource(t)
		q.Take(t, 3, resource, "dead", 2*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(15*time.Second, cancel).Stop()
		lock, err := q.New(t, redlock.Config{}).Lock(ctx, resource)
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, lock)
	})
}

func TestTheTriesOfAWaiterAreNeverCloserThanRetryDelayMin(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		m := q.New(t, redlock.Config{RetryDelayMin: time.Second, RetryDelayMax: 1100 * time.Millisecond})
		for _, pause := range refused(t, q, w, m, 4) {
			if pause < time.Second {
				t.Errorf("it paused for %v, less than 1s", pause)
			}
		}
	})
}

func TestRetryDelayMaxBoundsThePausesOfAWaiter(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w, start := tap(t, q), time.Now()
		refused(t, q, w, q.New(t, quickly()), 30)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("30 tries with delays of 1 to 20ms took %v; with the default it is 30s", took)
		}
	})
}

func TestAWaiterPausesFor100To300MillisecondsByDefault(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		m := connected(t, q.New(t, redlock.Config{}))
		waiters := sideBySide(t, 6, func(int) []time.Duration { return refused(t, q, w, m, 4) })
		var first []time.Duration
		for _, pauses := range waiters {
			if least := slices.Min(pauses); least < 100*time.Millisecond {
				t.Errorf("it paused for %v", least)
			}
			first = append(first, pauses[0])
		}
		if least := slices.Min(first); least > 500*time.Millisecond { // 200 ms are a busy machine's
			t.Errorf("the first pauses are %v", first)
		}
	})
}

func TestThePausesOfWaitersAreRandom(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		m := q.New(t, redlock.Config{RetryDelayMin: time.Millisecond, RetryDelayMax: time.Second})
		pauses := sideBySide(t, 4, func(int) []time.Duration { return refused(t, q, w, m, 4) })
		all := slices.Concat(pauses...)
		if spread := slices.Max(all) - slices.Min(all); spread < 200*time.Millisecond {
			t.Errorf("12 pauses between 1ms and 1s differ by %v at most: %v", spread, all)
		}
	})
}

// sideBySide runs f n times at once and returns what each has returned.
func sideBySide[T any](t testing.TB, n int, f func(i int) T) []T {
	t.Helper()
	results := make([]T, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { results[i] = f(i) })
	}
	all.Wait()
	if t.Failed() {
		t.FailNow() // a part that has failed returned nothing
	}
	return results
}

// The delays are one and the same here, so that nothing is random, and large, so
// that a busy machine does not blur the shape.
func TestPausesStayShortForThreeTriesThenGrowByHalfOfMinAndMaxUpToALimit(t *testing.T) {
	t.Parallel()
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		m := q.New(t, redlock.Config{RetryDelayMin: time.Second, RetryDelayMax: time.Second})
		waiters := sideBySide(t, 3, func(i int) []time.Duration {
			time.Sleep(time.Duration(i) * 300 * time.Millisecond) // a hiccup of the machine hits one of them
			return refused(t, q, w, m, 10)
		})
		for i, want := range []time.Duration{1, 1, 2, 3, 4, 5, 6, 6} {
			want *= time.Second
			least := min(waiters[0][i], waiters[1][i], waiters[2][i])
			if least < want || least >= want+time.Second {
				t.Errorf("pause %d took %v, want %v", i+2, least, want)
			}
		}
	})
}

func TestAFunctionOfTheCallersSetsThePauses(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		w := tap(t, q)
		m := q.New(t, redlock.Config{RetryDelayMin: 20 * time.Second, RetryDelayMax: 20 * time.Second})
		for range 2 { // anew for each call
			var asked []int
			pauses := refused(t, q, w, m, 5, redlock.WithBackoff(func(attempt int) time.Duration {
				asked = append(asked, attempt)
				return time.Duration(attempt) * 100 * time.Millisecond
			}))
			if !slices.Equal(asked, []int{1, 2, 3, 4}) {
				t.Errorf("it was asked for %v", asked)
			}
			for i, pause := range pauses {
				if want := time.Duration(i+2) * 100 * time.Millisecond; pause < want || pause > 10*time.Second {
					t.Errorf("pause %d took %v, want %v", i+2, pause, want)
				}
			}
		}
	})
}
