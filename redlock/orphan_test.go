package redlock

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// reaped is how long a key of a failed attempt may stay on a node that executes
// commands: a quarter of the TTL, or 2.5 s where that is longer.
const reaped = 2500 * time.Millisecond

func TestACallerThatIsCancelledAfterAnyMessageLeavesNoKey(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		for k := 1; ; k++ {
			cancelled := false
			bubble(t, n, Config{}, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r.net.OnMessage(func(i int) {
					if i == k {
						cancel()
						cancelled = true
					}
				})
				lock, err := r.Lock(ctx, "a")
				r.net.OnMessage(nil)
				if err == nil {
					if err := lock.Unlock(ctx); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("k=%d: unlock: %v", k, err)
					}
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("k=%d: got %v", k, err)
				}
				passTime(reaped)
				r.mustHave("a", 0)
			})
			if !cancelled {
				if k < 5*n {
					t.Fatalf("only %d messages were seen", k)
				}
				break
			}
		}
	}
}

func TestAnAcquireWhoseConnectionIsCutLeavesNoKey(t *testing.T) {
	cuts := map[string]fakeredis.Action{
		"before it is executed":      {Cut: true},
		"after it is executed":       {CutReply: true},
		"in the middle of its reply": {CutReply: true, CutAt: 3},
		"reply lost":                 {DropReply: true},
		"request lost":               {Drop: true},
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				for i, node := range r.nodes {
					once := true
					node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
						if c.Name == "SET" && once && i < 2 {
							once, a = false, cut
						}
						return a
					})
				}
				if lock, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v, %v", lock, err)
				}
				passTime(reaped)
				r.mustHave("a", 0)
			})
		})
	}
}

// lateSet is a node that executes the acquire of one connection only when told,
// however many connections have come and gone since.
func lateSet(node *fakeredis.Node) (release func()) {
	until := make(chan struct{})
	held := false
	node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
		if c.Name == "SET" && !held {
			held, a.Until = true, until
		}
		return a
	})
	return func() { close(until) }
}

func TestAnAcquireThatIsExecutedAfterItsReleaseIsReleasedAgain(t *testing.T) {
	for _, deny := range []bool{false, true} {
		t.Run(fmt.Sprintf("CLIENT KILL denied %v", deny), func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				var releases []func()
				for _, node := range r.nodes[:2] {
					if deny {
						node.Deny("client|kill")
					}
					releases = append(releases, lateSet(node))
				}
				if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v", err)
				}
				passTime(4 * time.Second) // the connections have been given up and remade
				r.mustHave("a", 0)
				for _, release := range releases {
					release()
				}
				passTime(reaped)
				r.mustHave("a", 0)
			})
		})
	}
}

func TestAReleaseNeverOvertakesItsAcquire(t *testing.T) {
	bubble(t, 3, Config{NodeTimeout: 50 * time.Millisecond}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			node.SetDelay(80*time.Millisecond, 0)
		}
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		passTime(time.Second)
		for _, node := range r.nodes {
			order := ""
			for _, c := range node.Commands() {
				if c.Name == "SET" || c.Name == "EVALSHA" {
					order += c.Name + " "
				}
			}
			if order != "SET EVALSHA " {
				t.Errorf("the node executed %q", order)
			}
		}
		r.mustHave("a", 0)
	})
}

func TestAnAcquireThatWasNotWrittenYetIsDroppedWithItsCaller(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes {
			node.Blackhole(true) // nothing can connect
		}
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		for _, node := range r.nodes {
			node.Blackhole(false)
		}
		passTime(5 * time.Second)
		for _, node := range r.nodes {
			if sets := node.Executed("SET"); sets != 0 {
				t.Errorf("%d acquires were sent for nobody", sets)
			}
		}
	})
}

func TestAStoppedServerThatExecutesWhatItHasBufferedKeepsNoKey(t *testing.T) {
	for _, stopped := range []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 5 * time.Second, time.Minute} {
		t.Run(stopped.String(), func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				r.nodes[0].Pause()
				r.nodes[1].Pause()
				if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v", err)
				}
				passTime(stopped)
				r.nodes[0].Resume()
				r.nodes[1].Resume()
				passTime(reaped)
				r.mustHave("a", 0)
			})
		})
	}
}

func TestUnlockReachesNodesThatDidNotAnswerTheAcquire(t *testing.T) {
	pauses := map[string]time.Duration{
		"on its connection": 100 * time.Millisecond,
		"on a later one":    3 * time.Second,
	}
	for name, pause := range pauses {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				r.nodes[2].Pause()
				lock := r.mustLock(r.Manager, "a")
				passTime(pause)
				if err := lock.Unlock(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.nodes[2].Resume()
				passTime(reaped)
				r.mustHave("a", 0)
			})
		})
	}
}

func TestALockThatIsNeverUnlockedLeavesNoKeyOnANodeThatWasAway(t *testing.T) {
	bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[2].Pause()
		lock := r.mustLock(r.Manager, "a")
		<-lock.Done()
		passTime(10 * time.Second)
		r.nodes[2].Resume()
		synctest.Wait()
		passTime(reaped)
		r.mustHave("a", 0)
		if r.Manager.nodes[2].owed != 0 {
			t.Error("the node is still owed a release")
		}
	})
}

func TestCloseWaitsForKeysThatAreUnconfirmed(t *testing.T) {
	bubble(t, 3, Config{TTL: 4 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.mustLock(r.Manager, "a")
		r.nodes[0].Pause()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m := r.Manager
		start := time.Now()
		err := m.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 1500*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if want := "10.0.0.1:6379"; err == nil || !contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
		r.nodes[0].Resume()
	})
	bubble(t, 3, Config{TTL: 4 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.mustLock(r.Manager, "a")
		r.nodes[0].Kill()
		start := time.Now()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 3*time.Second || took > 7*time.Second {
			t.Errorf("it took %v: the dead node's key lapses with its TTL", took)
		}
	})
}

func TestCloseWaitsForNoKeyThatItsNodeHasRefused(t *testing.T) {
	for name, refuse := range map[string]func(node *fakeredis.Node){
		"taken":         func(node *fakeredis.Node) { node.Set("a", "someone's", time.Hour) },
		"rejected":      func(node *fakeredis.Node) { node.FailWith("set", "OOM command not allowed") },
		"misconfigured": func(node *fakeredis.Node) { node.Deny("set") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
				r.connected()
				for _, node := range r.nodes {
					refuse(node)
				}
				slow := r.nodes[0]
				slow.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
					switch c.Name {
					case "SET":
						a.Delay = 100 * time.Millisecond // its release is under way by then
					case "EVALSHA":
						slow.Kill()
					}
					return a
				})
				if _, err := r.TryLock(t.Context(), "a"); err == nil {
					t.Error("a lock that is refused was won")
				}
				passTime(time.Second)
				start := time.Now()
				if err := r.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v: no node can have the key", took)
				}
			})
		})
	}
}

func TestAConnectionThatIsGivenUpCarriesTheReleaseOfWhatIsInFlight(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		first := r.nodes[0].Conns()[0]
		r.nodes[0].Stall(true)
		released := make(chan error, 1)
		go func() {
			_, err := r.TryLock(context.Background(), "a", WithTTL(time.Minute))
			released <- err
		}()
		synctest.Wait()
		r.Manager.nodes[0].currentStream().end(connErrorf("given up by the test"))
		synctest.Wait() // the acquire is in flight: nobody has asked for its release
		r.nodes[0].Stall(false)
		passTime(10 * time.Millisecond)
		r.mustRelease(r.nodes[0], first)
		if err := <-released; !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnAcquireThatWasExecutedLateDoesNotLapseEarly(t *testing.T) {
	bubble(t, 1, Config{NodeTimeout: 5 * time.Second, TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		first := r.nodes[0].Conns()[0]
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "SET" {
				a.Delay = 15 * time.Second // its TTL has passed since it was asked for
			}
			a.Cut = c.Conn == first && c.Name == "EVALSHA" // the release behind it
			return a
		})
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(10*time.Second + reaped)
		r.mustHave("a", 0)
	})
}

func TestTheReaperOfALongHeldLockIsAsQuickAsThatOfANewOne(t *testing.T) {
	bubble(t, 3, Config{TTL: 3 * time.Second}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithNoExpiry())
		passTime(10 * time.Minute)
		r.nodes[2].FailWith("EVALSHA", "LOADING not yet")
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		passTime(time.Minute)
		r.nodes[2].FailWith("EVALSHA", "")
		begun := time.Now()
		for r.holders("a") > 0 && time.Since(begun) < time.Hour {
			passTime(100 * time.Millisecond)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the key stood for %v after its node had come back", took)
		}
	})
}
