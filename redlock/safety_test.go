package redlock

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// What is here shows the harm that a rule keeps away, where no other test does.
// Each is run by `make controls` with the rule taken out.

func TestALateReleaseOfAFailedAttemptTakesNothingFromTheNext(t *testing.T) {
	bubble(t, 1, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		r.nodes[0].Deny("client|kill")
		r.connected()
		execute := lateSet(r.nodes[0])
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(4 * time.Second) // its connection has been given up, its release behind it
		lock := r.mustLock(r.Manager, "a")
		execute()
		passTime(10 * time.Second)
		if got := r.nodes[0].Get("a"); got != lock.Token() {
			t.Errorf("the node has %q, not the lock's token", got)
		}
	})
}

func TestTheReleaseOfAGivenTokenIsNeverRepeated(t *testing.T) {
	bubble(t, 3, Config{TTL: 10 * time.Minute}, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a", WithToken("mine"))
		releases := 0
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if strings.HasPrefix(c.Name, "EVAL") {
				releases++
				a.Cut = true // it may have been executed
			}
			return a
		})
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(time.Minute)
		if releases != 1 {
			t.Errorf("it was sent %d times", releases)
		}
		if got := r.nodes[0].Get("a"); got != "mine" {
			t.Errorf("the node has %q: what stays lapses by its TTL", got)
		}
		r.nodes[0].OnCommand(nil)
	})
}

func TestANodeWithAFastClockGivesNothingAwayThatIsValid(t *testing.T) {
	bubble(t, 1, Config{TTL: 10 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].SetClockRate(1.0099)
		lock := r.mustLock(r.Manager, "a")
		passTime(time.Until(lock.Until()) - 1)
		if !lock.Valid() || !r.nodes[0].Exists("a") {
			t.Errorf("in the last moment: valid %v, on the node %v", lock.Valid(), r.nodes[0].Exists("a"))
		}
	})
}

// moveMonotonic moves the monotonic reading of a time, and leaves its wall
// clock alone. No clock can be set in a test, and a bubble has but one.
func moveMonotonic(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	moved := at
	reading := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&moved))
	reading.ext += int64(d)
	if moved.Sub(at) != d || !moved.Round(0).Equal(at.Round(0)) {
		t.Fatal("a time.Time is not what it was: both of its clocks have moved, or none")
	}
	return moved
}

func TestALockIsOverAsSoonAsOneOfItsTwoClocksHasPassedItsEnd(t *testing.T) {
	now := time.Now()
	for name, until := range map[string]time.Time{
		"the monotonic clock stood still in a suspended machine": moveMonotonic(t, now.Add(-time.Hour), 2*time.Hour),
		"the wall clock was set back":                            moveMonotonic(t, now.Add(time.Hour), -2*time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			lock := handMade(t)
			lock.until = until
			if left := lock.Remaining(); left != 0 {
				t.Errorf("%v is left", left)
			}
			if lock.Valid() {
				t.Error("it is valid")
			}
			if err := lock.Err(); !errors.Is(err, ErrExpired) {
				t.Errorf("Err is %v", err)
			}
			select {
			case <-lock.Done():
			default:
				t.Error("Err is set and Done is open")
			}
		})
	}
}

// handMade is a lock that is held and that no node knows of.
func handMade(t *testing.T) *Lock {
	t.Helper()
	m, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o, err := m.lockOptions("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	lock := newLock(m, o)
	lock.setTimes(o)
	if err := m.hold(lock); err != nil {
		t.Fatal(err)
	}
	return lock
}

func TestNoAcquireIsSentThatHasNoRoomForItsRelease(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		n := r.Manager.nodes[0]
		owe := func(owed int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.owed = owed
		}
		owe(maxOwed)
		r.mustLock(r.Manager, "a")
		r.mustLock(r.Manager, "b", WithToken("t"))
		if r.nodes[0].Exists("a") || r.nodes[0].Exists("b") {
			t.Error("an acquire was sent")
		}
		owe(0)
	})
}

// lateSetAlone is a node that executes the acquire of its first connection only
// when told, and loses what comes behind it there: the release too. It may not
// be told to drop connections.
func lateSetAlone(node *fakeredis.Node) (execute func()) {
	until := make(chan struct{})
	first := 0
	node.Deny("client|kill")
	node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
		switch {
		case first == 0 && c.Name == "SET":
			first, a.Until = c.Conn, until
		case c.Conn == first:
			a.Drop = true
		}
		return a
	})
	return func() { close(until) }
}

// executedAlone has the acquire of a lost try executed after what comes meanwhile,
// without the release behind it, and wants the key to be gone soon.
func executedAlone(t *testing.T, meanwhile func(r *rig)) {
	t.Helper()
	bubble(t, 1, Config{TTL: 12 * time.Second}, func(t *testing.T, r *rig) {
		r.connected()
		execute := lateSetAlone(r.nodes[0])
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		meanwhile(r)
		execute()
		synctest.Wait()
		r.mustHave("a", 1)
		passTime(3 * time.Second)
		r.mustHave("a", 0)
	})
}

func TestAnAcquireThatIsExecutedWithoutTheReleaseBehindItIsReleasedOnTheNextConnection(t *testing.T) {
	executedAlone(t, func(*rig) {
		passTime(4 * time.Second) // the next connection has answered: nothing deleted
	})
}

func TestAServerThatTellsNoIdOfAConnectionIsNotToldToDropOne(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		node := r.nodes[0]
		node.FailWith("hello", "ERR unknown command 'HELLO'")
		r.connected()
		execute := lateSet(node)
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(4 * time.Second) // the connection has been given up and remade
		if node.Executed("client|kill") != 0 {
			t.Error("it was told to drop client 0: for Redis 6.2 that is every client")
		}
		execute()
		passTime(reaped)
		r.mustHave("a", 0)
	})
}

func TestAnAcquireThatIsExecutedLongAfterItsTTLIsReleasedToo(t *testing.T) {
	executedAlone(t, func(r *rig) {
		r.nodes[0].Stall(true)
		passTime(time.Minute)
		r.nodes[0].Stall(false)
		passTime(5 * time.Second) // only now has the next connection answered: nothing deleted
	})
}

func TestAReleaseThatIsLostIsAskedForAgain(t *testing.T) {
	bubble(t, 1, Config{TTL: time.Minute}, func(t *testing.T, r *rig) {
		r.connected()
		first := r.nodes[0].Conns()[0]
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			a.DropReply = c.Name == "SET"
			a.Drop = c.Conn == first && c.Name == "EVALSHA"
			return a
		})
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		r.mustHave("a", 1)
		passTime(4 * time.Second)
		r.mustHave("a", 0)
	})
}

func TestAConnectionThatIsGivenUpDeliversItsReleaseBehindRepliesThatStillCome(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		first := r.nodes[0].Conns()[0]
		r.nodes[0].SetDelay(100*time.Millisecond, 0)
		tried := make(chan error, 1)
		go func() {
			_, err := r.TryLock(context.Background(), "a")
			tried <- err
		}()
		passTime(50 * time.Millisecond)
		r.Manager.nodes[0].currentStream().end(connErrorf("given up by the test"))
		if err := <-tried; !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(time.Second)
		r.mustRelease(r.nodes[0], first)
	})
}

func TestAnAcquireIsNotSentAfterItsReleaseWasAskedFor(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes {
			node.SetDelay(200*time.Millisecond, 0) // connecting takes longer than the call waits
		}
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("got %v", err)
		}
		passTime(3 * time.Second)
		for _, node := range r.nodes {
			if len(node.Conns()) != 1 || node.Executed("SET") != 0 {
				t.Errorf("%d connections, %d acquires", len(node.Conns()), node.Executed("SET"))
			}
		}
		r.mustHave("a", 0)
	})
}

func TestAServerThatDoesNotTellItsRunIDVotesAndIsWarnedAboutOnce(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].Deny("info")
		for range 3 {
			r.connected()
			r.nodes[0].KillClients()
			passTime(3 * time.Second)
		}
		if got := strings.Count(log.String(), "run_id"); got != 1 {
			t.Errorf("%d warnings: %s", got, log.String())
		}
	}, WithLogger(logger))
}

// sentinelRig is a manager on one master that Sentinels name.
func sentinelRig(t *testing.T) (r *rig, fakes []*fakeSentinel, old, promoted *fakeredis.Node) {
	t.Helper()
	s, fakes := startSentinels(t, Node{})
	nt := fakeredis.NewNet()
	old, promoted = nt.Start(t, oldMaster), nt.Start(t, newMaster)
	toSentinel := s.m.dial
	s.m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":26379") {
			return toSentinel(ctx, network, address)
		}
		return nt.DialContext(ctx, network, address)
	}
	r = &rig{Manager: s.m, t: t, net: nt, all: []*Manager{s.m}}
	t.Cleanup(r.shutDown)
	return r, fakes, old, promoted
}

func TestAFailoverBackToAnEarlierMasterIsNoLoadBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, fakes, _, _ := sentinelRig(t)
		for epoch, master := range []string{oldMaster, newMaster, oldMaster} {
			for _, f := range fakes {
				f.name(master, uint64(epoch))
			}
			passTime(2 * askInterval)
			lock := r.mustLock(r.Manager, "a")
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAReplicaThatSentinelNamesVotesOnlyOnceItIsPromoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, old, _ := sentinelRig(t)
		old.SetRole("slave") // and writable
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) || errors.As(err, new(*ConfigError)) {
			t.Errorf("got %v", err)
		}
		if old.Executed("SET") != 0 {
			t.Error("a replica was asked for its vote")
		}
		old.SetRole("master")
		passTime(time.Second)
		r.mustLock(r.Manager, "a")
	})
}

func TestAMasterThatRefusesWritesAsAReplicaIsLeftAtOnce(t *testing.T) {
	for _, answer := range []string{
		"READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	} {
		t.Run(answer[:8], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, fakes, old, promoted := sentinelRig(t)
				r.connected()
				synctest.Wait() // the Sentinels have been asked, and will be after a second
				old.FailWith("SET", answer)
				for _, f := range fakes {
					f.name(newMaster, 1)
				}
				if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				r.mustLock(r.Manager, "a") // no time has passed
				if !promoted.Exists("a") {
					t.Error("the new master does not have it")
				}
			})
		})
	}
}

func TestAConfirmationByReplicasIsNeverAskedForWithoutATimeout(t *testing.T) {
	want := string(appendCommand(nil, "WAIT", "2", "1")) // 0 would block the connection for ever
	if got := string(waitRequest(2, 500*time.Microsecond).body); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAPersistIsSentOnlyOnTheConnectionThatGrantedTheLock(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[1].SetDelay(0, 100*time.Millisecond)
		r.nodes[2].SetDelay(0, 100*time.Millisecond)
		time.AfterFunc(50*time.Millisecond, r.nodes[0].KillClients) // it has granted, and connects anew
		r.mustLock(r.Manager, "a", WithNoExpiry())
		passTime(time.Second)
		if ttl := r.nodes[0].PTTL("a"); ttl < 0 {
			t.Errorf("the node keeps it for %v: a PERSIST was sent on another connection", ttl)
		}
		if ttl := r.nodes[1].PTTL("a"); ttl != -1 {
			t.Errorf("another node keeps it for %v", ttl)
		}
	})
}

func TestPersistLeavesTheKeyOfSomebodyElseAlone(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].Set("a", "thief", time.Minute)
		req := persistRequest("a", "mine")
		if _, votes := r.ask(t.Context(), &req, complete, time.Second); votes.no != 1 {
			t.Errorf("got %+v", votes)
		}
		if ttl := r.nodes[0].PTTL("a"); ttl < 0 {
			t.Error("it does not expire any more")
		}
	})
}
