package redlock

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

func TestALockIsHeldByAMajorityAndRefusedToOthers(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5} {
		bubble(t, n, Config{}, func(t *testing.T, r *rig) {
			lock := r.mustLock(r.Manager, "a")
			r.mustHave("a", n)
			other := r.manager(Config{})
			if _, err := other.TryLock(t.Context(), "a"); !errors.Is(err, ErrTaken) {
				t.Errorf("the second holder got %v", err)
			}
			if locked, err := other.IsLocked(t.Context(), "a"); !locked || err != nil {
				t.Errorf("got %v, %v", locked, err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			r.mustHave("a", 0)
			if _, err := other.TryLock(t.Context(), "a"); err != nil {
				t.Errorf("after the release: %v", err)
			}
		})
	}
}

func TestUntilIsCountedFromBeforeTheFirstRequest(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			node.SetDelay(50*time.Millisecond, 50*time.Millisecond)
		}
		start := time.Now()
		lock := r.mustLock(r.Manager, "a")
		if took := time.Since(start); took < 100*time.Millisecond {
			t.Fatalf("the nodes were not slow: %v", took)
		}
		if got, want := lock.Until().Sub(start), 10*time.Second-102*time.Millisecond; got != want {
			t.Errorf("until is %v after the start, want %v", got, want)
		}
	})
}

func TestGrantsThatComeTooLateToBeTrustedAreNoLock(t *testing.T) {
	bubble(t, 3, Config{NodeTimeout: time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			node.SetDelay(0, 200*time.Millisecond)
		}
		start := time.Now()
		_, err := r.TryLock(t.Context(), "a", WithTTL(200*time.Millisecond))
		if !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("it waited for %v, past the lock's own end", took)
		}
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

func TestTheHolderLearnsOfItsLossFromALocalTimer(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		ctx := lock.Context(t.Context())
		for _, node := range r.nodes {
			node.Blackhole(true)
		}
		until := lock.Until()
		<-lock.Done()
		if late := time.Since(until); late != 0 {
			t.Errorf("Done was closed %v after Until", late)
		}
		if err := lock.Err(); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrNotHeld) {
			t.Errorf("got %v", err)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrExpired) {
			t.Errorf("the context's cause is %v", cause)
		}
		if lock.Valid() || lock.Remaining() != 0 {
			t.Error("a lock that is over is valid")
		}
		r.mustHave("a", 3) // the nodes keep it a little longer: nobody else can have it yet
		for _, node := range r.nodes {
			node.Blackhole(false)
		}
	})
}

func TestEachAttemptHasATokenOfItsOwn(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.mustLock(r.manager(Config{}), "a")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := r.Lock(ctx, "a"); !errors.Is(err, ErrTaken) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		seen := make(map[string]bool)
		for _, c := range r.nodes[0].Commands() {
			token := ""
			switch {
			case c.Name == "SET":
				token = c.Args[1]
			case c.Name == "EVALSHA" && c.Args[4] == "10000": // the acquire, which has a TTL
				token = c.Args[3]
			default:
				continue
			}
			if seen[token] {
				t.Errorf("token %q was sent twice", token)
			}
			seen[token] = true
		}
		if len(seen) < 4 {
			t.Errorf("only %d attempts were made", len(seen))
		}
	})
}

func TestADeadOrSilentMinorityCostsNothing(t *testing.T) {
	faults := map[string]func(r *rig){
		"killed":     func(r *rig) { r.nodes[0].Kill(); r.nodes[3].Kill() },
		"paused":     func(r *rig) { r.nodes[0].Pause(); r.nodes[3].Pause() },
		"blackholed": func(r *rig) { r.nodes[0].Blackhole(true); r.nodes[3].Blackhole(true) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			bubble(t, 5, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				fault(r)
				start := time.Now()
				for range 100 {
					lock := r.mustLock(r.Manager, "a")
					if err := lock.Extend(t.Context(), 0); err != nil {
						t.Fatal(err)
					}
					if locked, err := r.IsLocked(t.Context(), "a"); !locked || err != nil {
						t.Fatal(locked, err)
					}
					if err := lock.Unlock(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("it cost %v", took)
				}
				for _, node := range r.nodes {
					node.Resume()
					node.Blackhole(false)
					node.Start()
				}
			})
		})
	}
}

func TestWithoutAMajorityEveryCallFailsWithinTheNodeTimeoutAndNamesTheNodes(t *testing.T) {
	bubble(t, 5, Config{NodeTimeout: 100 * time.Millisecond}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "held")
		for _, node := range r.nodes[:3] {
			node.Pause()
		}
		calls := map[string]func() error{
			"TryLock":  func() error { _, err := r.TryLock(t.Context(), "a"); return err },
			"Extend":   func() error { return lock.Extend(t.Context(), 0) },
			"IsLocked": func() error { _, err := r.IsLocked(t.Context(), "held"); return err },
			"IsHeld":   func() error { _, err := lock.IsHeld(t.Context()); return err },
			"Unlock":   func() error { return lock.Unlock(t.Context()) },
		}
		for _, name := range []string{"TryLock", "Extend", "IsLocked", "IsHeld", "Unlock"} {
			start := time.Now()
			err := calls[name]()
			if !errors.Is(err, ErrNoQuorum) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v", name, err)
			}
			if took := time.Since(start); took > 100*time.Millisecond {
				t.Errorf("%s took %v", name, took)
			}
			var quorum *QuorumError
			if !errors.As(err, &quorum) || quorum.Failed != 3 || quorum.Total != 5 {
				t.Errorf("%s: got %+v", name, quorum)
			}
			if named := namedNodes(err); len(named) != 3 {
				t.Errorf("%s names %v", name, named)
			}
		}
		for _, node := range r.nodes {
			node.Resume()
		}
	})
}

// namedNodes are the nodes that err names.
func namedNodes(err error) (names []string) {
	var walk func(error)
	walk = func(err error) {
		if node, ok := err.(*NodeError); ok {
			names = append(names, node.Node)
		}
		switch err := err.(type) {
		case interface{ Unwrap() []error }:
			for _, e := range err.Unwrap() {
				walk(e)
			}
		case interface{ WrappedErrors() []error }:
			for _, e := range err.WrappedErrors() {
				walk(e)
			}
		case interface{ Unwrap() error }:
			walk(err.Unwrap())
		}
	}
	walk(err)
	return names
}

func TestLockGivesUpWithoutAQuorumAfterThreeTriesAndASecond(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Kill()
		r.nodes[1].Kill()
		start := time.Now()
		_, err := r.Lock(t.Context(), "a")
		if !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took < time.Second || took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		r.nodes[0].Start()
		r.nodes[1].Start()
		passTime(time.Second)
		r.mustLock(r.Manager, "a")
	})
}

func TestAGrantARefusalAndADeadNodeAreContentionAndWaitedOut(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Kill()
		r.nodes[1].Set("a", "somebody", 5*time.Second)
		start := time.Now()
		if _, err := r.Lock(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*time.Second {
			t.Errorf("it took %v", took)
		}
		r.nodes[0].Start()
	})
}

func TestANodeVotesAgainWithinASecondOfComingBack(t *testing.T) {
	faults := map[string][2]func(r *rig){
		"killed":     {func(r *rig) { r.nodes[1].Kill() }, func(r *rig) { r.nodes[1].Start() }},
		"paused":     {func(r *rig) { r.nodes[1].Pause() }, func(r *rig) { r.nodes[1].Resume() }},
		"blackholed": {func(r *rig) { r.nodes[1].Blackhole(true) }, func(r *rig) { r.nodes[1].Blackhole(false) }},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				fault[0](r)
				for range 20 {
					_, _ = r.IsLocked(t.Context(), "a")
					passTime(731 * time.Millisecond)
				}
				fault[1](r)
				passTime(time.Second)
				r.mustLock(r.Manager, "a")
				r.mustHave("a", 3)
			})
		})
	}
}

func TestTheMillisecondsSentAreThoseComputedWith(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		start := time.Now()
		lock := r.mustLock(r.Manager, "a", WithTTL(1500*time.Millisecond+1))
		commands := r.nodes[0].Commands()
		set := commands[len(commands)-1]
		if set.Name != "SET" || set.Args[4] != "1501" {
			t.Errorf("sent %v", set)
		}
		if got, want := lock.Until().Sub(start), 1501*time.Millisecond-drift(1501*time.Millisecond, 0.01); got != want {
			t.Errorf("until is %v after the start, want %v", got, want)
		}
		if lock.TTL() != 1501*time.Millisecond {
			t.Errorf("the TTL is %v", lock.TTL())
		}
	})
}

func TestALockKeepsNoContextThatHasEnded(t *testing.T) {
	lock := handMade(t)
	kept := func() weak.Pointer[[1024]byte] {
		value := new([1024]byte)
		parent, cancel := context.WithCancel(context.WithValue(context.Background(), value, value))
		defer cancel()
		lock.Context(parent)
		return weak.Make(value)
	}()
	for range 100 {
		if runtime.GC(); kept.Value() == nil {
			break
		}
		runtime.Gosched() // what ends with the parent runs now
	}
	if kept.Value() != nil {
		t.Error("the context is still there")
	}
	if !lock.Valid() {
		t.Error("the lock is over: nothing is shown")
	}
}
