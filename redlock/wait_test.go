package redlock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/internal/fakeredis"
	"github.com/redlock-go/redlock/internal/scripts"
)

// trip is the time of a round trip in these tests.
const trip = 2 * time.Millisecond

func (r *rig) slowDown() {
	for _, node := range r.nodes {
		node.SetDelay(trip/2, trip/2)
	}
}

// waitFor has m wait for resource; the lock comes on the channel.
func waitFor(t *testing.T, m *Manager, resource string, opts ...LockOption) <-chan *Lock {
	t.Helper()
	won := make(chan *Lock, 1)
	go func() {
		lock, err := m.Lock(t.Context(), resource, opts...)
		if err != nil {
			t.Error(err)
		}
		won <- lock
	}()
	return won
}

// settled waits until a waiter has asked, subscribed and asked again.
func settled() { passTime(50 * trip) }

func TestAWaiterOfAnotherProcessTakesAReleasedLockWithinTwoRoundTrips(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		for name, fault := range map[string]func(node *fakeredis.Node){
			"": func(*fakeredis.Node) {}, " with a dead minority": (*fakeredis.Node).Kill,
			" with a silent minority": (*fakeredis.Node).Pause,
		} {
			t.Run(fmt.Sprintf("%d nodes%s", n, name), func(t *testing.T) {
				bubble(t, n, Config{RetryDelayMin: time.Minute, RetryDelayMax: time.Minute}, func(t *testing.T, r *rig) {
					other := r.manager(Config{})
					r.slowDown()
					held := r.mustLock(other, "a", WithTTL(time.Hour))
					for _, node := range r.nodes[:(n-1)/2] {
						fault(node)
					}
					won := waitFor(t, r.Manager, "a")
					settled()
					passTime(10 * time.Second)
					begun := time.Now()
					if err := held.Unlock(t.Context()); err != nil {
						t.Fatal(err)
					}
					lock := <-won
					if took := time.Since(begun); took > 2*trip {
						t.Errorf("it took %v", took)
					}
					_ = lock.Unlock(t.Context())
					for _, node := range r.nodes {
						node.Start()
						node.Resume()
					}
				})
			})
		}
	}
}

func TestAWaiterWithoutMessagesTakesTheLockWithinTheFallbackDelay(t *testing.T) {
	for name, fault := range map[string]func(*fakeredis.Node){
		"every message is lost": func(node *fakeredis.Node) { node.SetMute(true) },
		"no right to subscribe": func(node *fakeredis.Node) { node.FailWith("SUBSCRIBE", "NOPERM no channel") },
		"no right to publish":   func(node *fakeredis.Node) { node.FailWith("PUBLISH", "NOPERM no channel") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				for _, node := range r.nodes {
					fault(node)
				}
				held := r.mustLock(r.manager(Config{}), "a", WithTTL(time.Hour))
				won := waitFor(t, r.Manager, "a")
				passTime(10 * time.Second)
				begun := time.Now()
				if err := held.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-won
				longest := 300*time.Millisecond + growthLimit*200*time.Millisecond // as README.md says
				if took := time.Since(begun); took > longest {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestAWaiterTakesALockWhoseHolderIsGoneWhenItsTTLEnds(t *testing.T) {
	bubble(t, 3, Config{RetryDelayMin: time.Minute, RetryDelayMax: time.Minute}, func(t *testing.T, r *rig) {
		r.slowDown()
		r.connected()
		for _, node := range r.nodes {
			node.Set("a", "somebody who is gone", 5*time.Second)
		}
		begun := time.Now()
		<-waitFor(t, r.Manager, "a")
		if took := time.Since(begun); took < 4900*time.Millisecond || took > 5*time.Second+10*trip {
			t.Errorf("it took %v", took)
		}
	})
}

func TestOnlyTheHeadOfALineAsksTheNodes(t *testing.T) {
	ask := func(waiters int) (questions int) {
		bubble(t, 3, Config{RetryDelayMin: time.Minute, RetryDelayMax: time.Minute}, func(t *testing.T, r *rig) {
			r.slowDown()
			held := r.mustLock(r.manager(Config{}), "a", WithTTL(time.Hour))
			passTime(10 * trip) // until every node has it: a split vote costs more
			var calls sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			for range waiters {
				calls.Go(func() {
					if lock, err := r.Lock(ctx, "a"); err == nil {
						_ = lock.Unlock(ctx)
					}
				})
			}
			passTime(10 * time.Second)
			cancel()
			calls.Wait()
			_ = held.Unlock(t.Context())
			questions = questionsTo(r.nodes[0])
		})
		return questions
	}
	if one, many := ask(1), ask(1000); one != many {
		t.Errorf("one waiter asks %d times, 1000 ask %d times", one, many)
	}
}

// questionsTo counts how often a node was asked for a key. Releases are not
// questions: a refusal that is late, by the order of goroutines, is followed by one.
func questionsTo(n *fakeredis.Node) (asked int) {
	acquire := redis.NewScript(scripts.Acquire).Hash()
	for _, c := range n.Commands() {
		if c.Name == "SET" || c.Name == "EVALSHA" && c.Args[0] == acquire {
			asked++
		}
	}
	return asked
}

func TestCallersOfOneManagerAreServedInTheirOrder(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		held := r.mustLock(r.Manager, "a")
		var mu sync.Mutex
		var order []int
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() {
				lock, err := r.Lock(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				passTime(time.Millisecond)
				_ = lock.Unlock(t.Context())
			})
			synctest.Wait()
		}
		asked := r.nodes[0].Executed("SET") + r.nodes[0].Executed("EVALSHA")
		begun := time.Now()
		_ = held.Unlock(t.Context())
		calls.Wait()
		if !slices.IsSorted(order) || len(order) != 20 {
			t.Errorf("the order is %v", order)
		}
		if took := time.Since(begun); took > 20*(trip+time.Millisecond)+2*trip {
			t.Errorf("it took %v: more than a round trip from one to the next", took)
		}
		asked = r.nodes[0].Executed("SET") + r.nodes[0].Executed("EVALSHA") - asked
		if asked != 2*20+1 || r.nodes[0].Executed("SUBSCRIBE") != 0 {
			t.Errorf("the node was asked %d times, and %d times to publish to us", asked, r.nodes[0].Executed("SUBSCRIBE"))
		}
	})
}

// Whoever passes the lock on in its own process asks before any other can.
func TestALongLineLetsOtherProcessesInAfterAFewPasses(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var mu sync.Mutex
		var order []*Manager
		var calls sync.WaitGroup
		other := r.manager(Config{})
		for _, m := range append(slices.Repeat([]*Manager{r.Manager}, 20), other) {
			calls.Go(func() {
				for {
					lock, err := m.Lock(ctx, "a")
					if err != nil {
						return
					}
					mu.Lock()
					order = append(order, m)
					mu.Unlock()
					passTime(time.Millisecond)
					_ = lock.Unlock(t.Context())
				}
			})
		}
		calls.Wait()
		row, longest, turns := 0, 0, 0
		for _, m := range order {
			if row++; m == other {
				row = 0
				turns++
			}
			longest = max(longest, row)
		}
		if longest > 4*maxPasses || turns < len(order)/(2*maxPasses) {
			t.Errorf("of %d turns the other process has had %d, and waited for up to %d", len(order), turns, longest)
		}
	})
}

func TestACancelledWaiterLeavesItsLineAtOnce(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		held := r.mustLock(r.Manager, "a")
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := r.Lock(ctx, "a")
			failed <- err
		}()
		synctest.Wait()
		won := waitFor(t, r.Manager, "a")
		synctest.Wait()
		begun := time.Now()
		cancel()
		err := <-failed
		if !errors.Is(err, ErrTaken) || !errors.Is(err, context.Canceled) || time.Since(begun) > 0 {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		_ = held.Unlock(t.Context())
		<-won
	})
}

func TestTryLockAsksTheNodesPastTheLineAndTellsItWhatItReleases(t *testing.T) {
	bubble(t, 3, Config{RetryDelayMin: time.Minute, RetryDelayMax: time.Minute}, func(t *testing.T, r *rig) {
		held := r.mustLock(r.manager(Config{}), "a")
		won := waitFor(t, r.Manager, "a")
		settled()
		for _, node := range r.nodes {
			node.SetMute(true)
		}
		for _, node := range r.nodes {
			node.FlushAll()
		}
		tried := r.mustLock(r.Manager, "a")
		_ = held.Unlock(t.Context())
		begun := time.Now()
		if err := tried.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-won
		if took := time.Since(begun); took > trip {
			t.Errorf("it took %v", took)
		}
	})
}

func TestALineWithoutAQuorumGivesUpAsOne(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes[:2] {
			node.Kill()
		}
		begun := time.Now()
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				if _, err := r.Lock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v", err)
				}
			})
		}
		calls.Wait()
		if took := time.Since(begun); took < patience || took > 5*patience {
			t.Errorf("it took %v", took)
		}
	})
}

func TestATryThatIsTheLastOneAllowedIsMadeOutOfTurn(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "a", WithTTL(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		head := make(chan struct{})
		go func() {
			defer close(head)
			_, _ = r.Lock(ctx, "a")
		}()
		settled()
		begun := time.Now()
		_, err := r.Lock(t.Context(), "a", WithAttempts(3), WithBackoff(func(int) time.Duration { return time.Second }))
		var quorum *QuorumError
		if !errors.As(err, &quorum) || !errors.Is(err, ErrTaken) || quorum.No < 2 || time.Since(begun) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		cancel()
		<-head
	})
}

func TestTwentyManagersAtOnceFindAWinnerWithinAFewRoundTrips(t *testing.T) {
	bubble(t, 5, Config{}, func(t *testing.T, r *rig) {
		for range 19 {
			r.manager(Config{})
		}
		for _, m := range r.all {
			if err := m.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, node := range r.nodes {
			node.SetDelay(trip/4, trip/4)
			node.SetJitter(trip / 2)
		}
		trips := make([]float64, *rounds)
		for round := range trips {
			ctx, cancel := context.WithCancel(t.Context())
			begun := time.Now()
			var calls sync.WaitGroup
			for _, m := range r.all {
				calls.Go(func() {
					if lock, err := m.Lock(ctx, fmt.Sprint("round ", round)); err == nil {
						trips[round] = float64(time.Since(begun)) / float64(trip)
						cancel()
						_ = lock.Unlock(t.Context())
					}
				})
			}
			calls.Wait()
			cancel()
		}
		slices.Sort(trips)
		median, p99 := trips[len(trips)/2], trips[len(trips)*99/100]
		t.Logf("%.1f round trips at the median, %.1f at p99, %.1f at most", median, p99, trips[len(trips)-1])
		if median > 5 || p99 > 15 {
			t.Errorf("%.1f round trips at the median, %.1f at p99; expected 5 and 15 at most", median, p99)
		}
	})
}

func TestAnEarIsClosedSomeTimeAfterTheLastWaiter(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		other := r.manager(Config{})
		held := r.mustLock(other, "a", WithTTL(time.Hour))
		won := waitFor(t, r.Manager, "a")
		settled()
		channel := r.Manager.nodes[0].channel("a")
		if got := r.nodes[0].Subscribers(channel); got != 1 {
			t.Fatalf("%d listen", got)
		}
		_ = held.Unlock(t.Context())
		<-won
		synctest.Wait()
		if got := r.nodes[0].Subscribers(channel); got != 0 {
			t.Errorf("%d listen, and nobody waits", got)
		}
		if got := len(r.nodes[0].Conns()); got != 3 {
			t.Errorf("%d connections are open", got)
		}
		passTime(earIdle + time.Second)
		if got := len(r.nodes[0].Conns()); got != 2 {
			t.Errorf("%d connections are open", got)
		}
	})
}

// The holder unlocks at every message between the waiter's first question and
// its sleep.
func TestNoReleaseIsMissedBetweenAQuestionAndTheSubscription(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		for k := 1; k <= 20*n; k++ {
			bubble(t, n, Config{RetryDelayMin: time.Minute, RetryDelayMax: time.Minute}, func(t *testing.T, r *rig) {
				other := r.manager(Config{})
				r.connected()
				before := r.mustLock(other, "before", WithTTL(time.Hour))
				opened := waitFor(t, r.Manager, "before") // its subscription connection stays for the next
				settled()
				_ = before.Unlock(t.Context())
				<-opened
				held := r.mustLock(other, "a", WithTTL(time.Hour))
				r.slowDown()
				reached := make(chan struct{})
				r.net.OnMessage(func(message int) {
					if message == k {
						close(reached)
					}
				})
				won := waitFor(t, r.Manager, "a")
				select {
				case <-reached:
				case <-time.After(time.Second): // it sleeps
				}
				begun := time.Now()
				if err := held.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-won
				// The first question, the subscription, and the question that wins.
				if took := time.Since(begun); took > 3*trip {
					t.Errorf("%d nodes, released at message %d: it took %v", n, k, took)
				}
			})
		}
	}
}

// Somebody else may keep a key for longer than a Duration can say.
func TestAWaiterDoesNotSpinBehindAKeyThatOutlastsADuration(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		r.connected()
		for _, node := range r.nodes {
			node.OnCommand(func(c fakeredis.Command) fakeredis.Action {
				if c.Name == "EVALSHA" {
					return fakeredis.Action{Reply: ":-10000000000000\r\n"}
				}
				if c.Name == "SET" {
					return fakeredis.Action{Reply: "$-1\r\n"}
				}
				return fakeredis.Action{}
			})
		}
		asked := 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := r.Lock(ctx, "a", WithBackoff(func(int) time.Duration { asked++; return time.Second }))
		if !errors.Is(err, ErrTaken) {
			t.Error(err)
		}
		if asked > 20 {
			t.Errorf("it asked %d times in 10 seconds", asked)
		}
		for _, node := range r.nodes {
			node.OnCommand(nil)
		}
	})
}

func TestACallerWithAGivenTokenDoesNotHoldUpItsLine(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.slowDown()
		lock := r.mustLock(r.Manager, "a", WithToken("mine"), WithTTL(time.Hour))
		passTime(10 * trip)
		r.nodes[2].Kill()
		passTime(time.Second)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := r.Lock(ctx, "a", WithToken("mine"))
			first <- err
		}()
		synctest.Wait()
		begun := time.Now()
		second, err := r.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v to take a free lock", took)
		}
		cancel()
		<-first
		_ = second.Unlock(t.Context())
		r.nodes[2].Start()
	})
}

// A server may say that it has told any number of subscribers.
func TestACrowdThatIsTooLargeToBeTrueHoldsNobodyBackForLong(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		w := r.queue("a")
		defer w.leave()
		w.trip = trip
		for _, told := range []int{math.MaxInt, math.MaxInt / 3, 1 << 50, 1 << 30} {
			r.crowd("a", told)
			for range 100 {
				if d := w.courtesy(); d > time.Second {
					t.Fatalf("with %d others it holds back for %v", told, d)
				}
			}
		}
	})
}
