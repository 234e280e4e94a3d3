package redlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

func TestConstructingDoesNoIO(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		passTime(time.Minute)
		for _, node := range r.nodes {
			if len(node.Conns()) != 0 {
				t.Error("a connection was made before the first use")
			}
		}
	})
}

func TestEachNodeHasOneConnectionHoweverManyCallersThereAre(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		done := make(chan error)
		for i := range 200 {
			go func() {
				lock, err := r.Lock(t.Context(), fmt.Sprint(i))
				if err == nil {
					err = lock.Unlock(t.Context())
				}
				done <- err
			}()
		}
		for range 200 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, node := range r.nodes {
			if n := len(node.Conns()); n != 1 {
				t.Errorf("a node has %d connections", n)
			}
		}
	})
}

func TestAServersIdleTimeoutCostsNoVoteAfterwards(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		for _, node := range r.nodes {
			node.SetIdleTimeout(time.Second)
		}
		r.connected()
		for _, idle := range []time.Duration{time.Minute, 1500 * time.Millisecond, 3 * time.Minute} {
			passTime(idle)
			lock := r.mustLock(r.Manager, "a")
			r.mustHave("a", 3)
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAKilledConnectionCostsOnlyTheCommandThatCrossesTheClose(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			node.KillClients()
		}
		synctest.Wait()
		r.mustLock(r.Manager, "a")
		r.mustHave("a", 3)
	})
}

func TestASilentStreamIsAskedForASignOfLifeAndEndedWithoutOne(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		pings := r.nodes[0].Executed("PING")
		passTime(time.Minute)
		if got := r.nodes[0].Executed("PING") - pings; got < 6 || got > 12 {
			t.Errorf("%d signs of life in a minute, want one in 5 to 7.5 s", got)
		}
		first := r.nodes[0].Conns()[0]
		r.nodes[0].DropReplies(true)
		passTime(10 * time.Second)
		r.nodes[0].DropReplies(false)
		passTime(3 * time.Second)
		for _, id := range r.nodes[0].Conns() {
			if id == first {
				t.Error("the connection that had gone silent is still used")
			}
		}
		r.mustLock(r.Manager, "a")
		r.mustHave("a", 3)
	})
}

func TestAnUnansweredCommandEndsTheConnectionAfterASecond(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Stall(true)
		r.mustLock(r.Manager, "a")
		passTime(900 * time.Millisecond)
		if s := r.Manager.nodes[0].currentStream(); s == nil {
			t.Error("the connection was given up early")
		}
		passTime(700 * time.Millisecond)
		if s := r.Manager.nodes[0].currentStream(); s != nil {
			t.Error("the connection is still trusted")
		}
		r.nodes[0].Stall(false)
	})
}

func (n *node) currentState() nodeState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

func (n *node) currentStream() *stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stream
}

func TestAReplyThatIsOutOfStepEndsTheConnectionAndIsNoGrant(t *testing.T) {
	for _, broken := range []string{
		":1\r\n", "+PONG\r\n", "$2\r\nOK\r\n", "*0\r\n", "garbage\r\n", "+OK\r\n+OK\r\n", "+O", "\x00\x01",
	} {
		t.Run(fmt.Sprintf("%q", broken), func(t *testing.T) {
			bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
				r.connected()
				first := r.nodes[0].Conns()[0]
				once := true
				r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
					if c.Name == "SET" && once {
						once, a.Reply = false, broken
					}
					return a
				})
				lock, err := r.TryLock(t.Context(), "a")
				if broken == "+OK\r\n+OK\r\n" { // the first of the two is a good answer
					if err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v, %v", lock, err)
				}
				passTime(3 * time.Second)
				if ids := r.nodes[0].Conns(); len(ids) != 1 || ids[0] == first {
					t.Errorf("the connections are %v, the broken one was %d", ids, first)
				}
			})
		})
	}
}

// lastWords is a connection that ends with what the next read brings, once cut is
// set: tls.Conn returns data and io.EOF together.
type lastWords struct {
	net.Conn
	cut *atomic.Bool
}

func (c lastWords) Read(b []byte) (int, error) {
	size, err := c.Conn.Read(b)
	if err == nil && c.cut.Swap(false) {
		err = io.EOF
	}
	return size, err
}

func TestAnAnswerThatComesWithTheEndOfItsConnectionIsAVote(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		var cut atomic.Bool
		r.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := r.net.DialContext(ctx, network, address)
			return lastWords{conn, &cut}, err
		}
		r.connected()
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			cut.Store(c.Name == "SET")
			return a
		})
		r.mustLock(r.Manager, "a")
	})
}

func TestAReleaseThatWaitsIsNotQueuedAgainByANewConnection(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Stall(true)
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(1500 * time.Millisecond) // the connection has been given up, and there is no new one
		n := r.Manager.nodes[0]
		n.mu.Lock()
		for range 5 { // connections on which nothing goes out
			n.introduceLocked(&stream{})
		}
		if len(n.debts) != 1 || len(n.queue) != 1 {
			t.Errorf("%d releases are queued for %d debts", len(n.queue), len(n.debts))
		}
		n.mu.Unlock()
		r.nodes[0].Stall(false)
	})
}

func TestWhatQueuesForASilentNodeIsBoundedAndBlocksNobody(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		goroutines := runtime.NumGoroutine()
		r.nodes[0].Stall(true)
		start := time.Now()
		tries := make([]*Lock, 3*maxCommands) // that get no further than this node
		for i := range tries {
			l := newLock(r.Manager, &lockOptions{key: fmt.Sprint(i % 100), ttl: 10 * time.Second})
			acquire := setRequest(l.key, l.Token(), l.ttl)
			l.ballot.commands[0].req = &acquire
			r.Manager.nodes[0].submit(&l.ballot.commands[0])
			tries[i] = l
		}
		r.lockAndUnlock(100)
		synctest.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		n := r.Manager.nodes[0]
		n.mu.Lock()
		waiting := len(n.queue) + len(n.stream.flight)
		owed := n.owed
		n.mu.Unlock()
		if waiting > 2*maxCommands || owed > maxOwed {
			t.Errorf("%d commands wait, %d acquires are owed", waiting, owed)
		}
		if now := runtime.NumGoroutine(); now > goroutines {
			t.Errorf("%d goroutines, %d before", now, goroutines)
		}
		for _, l := range tries {
			l.abandon()
		}
		r.nodes[0].Stall(false)
		passTime(5 * time.Second)
		for i := range 100 {
			r.mustHave(fmt.Sprint(i), 0)
		}
	})
}

func TestACommandThatWasAnsweredIsNotKeptInMemory(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		acquires := make([]weak.Pointer[command], 500)
		var callers sync.WaitGroup
		for i := range acquires {
			callers.Go(func() {
				lock, err := r.TryLock(t.Context(), fmt.Sprint("r", i))
				if err != nil {
					t.Error(err)
					return
				}
				acquires[i] = weak.Make(&lock.ballot.commands[0])
				if err := lock.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		passTime(time.Minute) // the runtime keeps a timer that was stopped until its time
		runtime.GC()
		kept := slices.DeleteFunc(acquires, func(p weak.Pointer[command]) bool { return p.Value() == nil })
		if len(kept) > 10 { // a stack may still show the last ones
			t.Errorf("%d acquires of locks that were given back are kept in memory", len(kept))
		}
	})
}

func TestServersThatMustNotVoteAreRefusedAtConnection(t *testing.T) {
	setups := map[string]struct {
		set  func(r *rig)
		says string
	}{
		"a replica":        {func(r *rig) { r.nodes[1].SetRole("slave") }, "replica"},
		"a cluster node":   {func(r *rig) { r.nodes[1].SetMode("cluster") }, "cluster"},
		"one server twice": {func(r *rig) { r.nodes[1].SetRunID(r.nodes[0].RunID()) }, "one server"},
		"a wrong password": {func(r *rig) { r.nodes[1].SetPassword("hunter2-secret") }, "password"},
	}
	for name, setup := range setups {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
				setup.set(r)
				var config *ConfigError
				if err := r.Ping(t.Context()); !errors.As(err, &config) {
					t.Fatalf("got %v", err)
				}
				if !strings.HasPrefix(config.Field, "nodes[") || !strings.Contains(config.Error(), setup.says) {
					t.Errorf("got %v", config)
				}
				if strings.Contains(config.Error(), "hunter2") {
					t.Errorf("%v shows the password", config)
				}
				lock := r.mustLock(r.Manager, "a") // the other two are a majority
				r.mustHave("a", 2)
				if err := lock.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAMajorityThatIsMisconfiguredIsNoQuorumAndSaysWhy(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].SetRole("slave")
		r.nodes[1].SetMode("cluster")
		_, err := r.TryLock(t.Context(), "a")
		var config *ConfigError
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, &config) {
			t.Errorf("got %v", err)
		}
	})
}

func TestALoadBalancerIsFoundByTheReturnOfARunID(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		first := r.nodes[0].RunID()
		r.nodes[0].SetRunID("another")
		r.nodes[0].KillClients()
		passTime(time.Second)
		r.connected() // a restart looks like this
		r.nodes[0].SetRunID(first)
		r.nodes[0].KillClients()
		passTime(time.Second)
		if err := r.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "load balancer") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOfTwoNodesThatAreOneServerTheOtherMayVoteWhenTheFirstHasGone(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[1].SetRunID(r.nodes[0].RunID())
		r.nodes[1].KillClients()
		passTime(time.Second)
		err := r.Ping(t.Context())
		for _, name := range []string{"10.0.0.1:6379", "10.0.0.2:6379"} {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
		r.nodes[0].Kill()
		passTime(2 * time.Second)
		r.mustLock(r.Manager, "a")
		r.mustHave("a", 2)
	})
}

func TestANodeWithReplicasVotesWhenTheyHaveConfirmed(t *testing.T) {
	nodes := []Node{{Host: "10.0.0.1", Port: 6379, Replicas: 2}}
	bubble(t, 1, Config{Nodes: nodes}, func(t *testing.T, r *rig) {
		r.nodes[0].SetReplicas(2, 0)
		lock := r.mustLock(r.Manager, "a")
		if err := lock.Extend(t.Context(), 0); err != nil {
			t.Error(err)
		}
		r.nodes[0].SetReplicas(1, 0)
		if err := lock.Extend(t.Context(), 0); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("an extend that one of two replicas has got %v", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		r.nodes[0].SetDelay(time.Millisecond, time.Millisecond)
		start := time.Now()
		_, err := r.TryLock(t.Context(), "b")
		if !errors.Is(err, ErrNoQuorum) || !strings.Contains(err.Error(), "not confirmed by its replicas") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 250*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		passTime(time.Second)
		r.mustHave("b", 0)
		r.nodes[0].SetReplicas(2, 0)
		r.mustLock(r.Manager, "b")
	})
}

func TestAWriteThatDoesNotGoOutEndsTheConnectionAndBlocksNobody(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.nodes[0].SetBuffer(4 << 10)
		r.connected()
		r.nodes[0].Stall(true)
		start := time.Now()
		r.lockAndUnlock(100)
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		passTime(2 * time.Second)
		if s := r.Manager.nodes[0].currentStream(); s != nil {
			t.Error("the connection is still trusted")
		}
		passTime(3 * time.Second)
		if r.Manager.nodes[0].currentState() != down {
			t.Error("no other connection was tried: the write is still waited for")
		}
		r.nodes[0].Stall(false)
		passTime(reaped)
		for i := range 100 {
			r.mustHave(fmt.Sprint(i), 0)
		}
	})
}

func TestAServerThatHangsUpOnEveryClientIsDownAndNotDialledInALoop(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		r.connected()
		dials := 0
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "HELLO" && len(c.Args) == 0 {
				dials++
			}
			a.Cut = c.Name == "SET"
			return a
		})
		for range 600 {
			lock := r.mustLock(r.Manager, "a")
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
			passTime(100 * time.Millisecond)
		}
		if dials > 400 {
			t.Errorf("%d connections were made in a minute", dials)
		}
		r.nodes[0].OnCommand(nil)
	})
}
