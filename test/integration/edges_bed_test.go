package integration

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
)

// edgeBed is a quorum whose nodes can be silenced and cut off by proxies, with a
// manager that is connected to all of them.
type edgeBed struct {
	*Quorum
	m       *redlock.Manager
	proxies []*proxy.Proxy
	before  []int // how many commands each node was sent to connect
}

// edgeRows runs a test on n nodes of every kind of server, behind proxies. What
// the test has broken is mended before its manager closes.
func edgeRows(t *testing.T, n int, cfg redlock.Config, test func(t *testing.T, e *edgeBed)) {
	t.Helper()
	rowsOn(t, n, func(t *testing.T, q *Quorum) {
		test(t, newEdgeBed(t, q, cfg, nil))
	})
}

// newEdgeBed puts proxies before the nodes of q, which are then set up further.
func newEdgeBed(t *testing.T, q *Quorum, cfg redlock.Config, setUp func(node *redlock.Node)) *edgeBed {
	t.Helper()
	e := &edgeBed{Quorum: q, proxies: q.Proxies(t)}
	for i := range q.Nodes {
		if setUp != nil {
			setUp(&q.Nodes[i])
		}
	}
	e.m = q.New(t, cfg)
	t.Cleanup(func() { e.mend(t) })
	e.connect(t)
	return e
}

// nodeTimeout is that of tests in which nodes are silent. It is longer than
// [soon], so that two of them are not taken for one.
const nodeTimeout = 3 * time.Second

// brief is the configuration of such tests.
var brief = redlock.Config{NodeTimeout: nodeTimeout, TTL: time.Minute}

// connect returns when every node has answered a PING of the manager's own, after
// the one with which a connection begins.
func (e *edgeBed) connect(t *testing.T) {
	t.Helper()
	answered := make([]atomic.Int64, len(e.proxies))
	for i, p := range e.proxies {
		p.Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToClient && m.Name == "PING" {
				answered[i].Add(1)
			}
			return proxy.Pass
		})
	}
	eventually(t, 20*time.Second, func() error {
		err := e.m.Ping(t.Context())
		for i := range answered {
			if answered[i].Load() < 2 {
				err = errors.Join(err, fmt.Errorf("node %d is not connected", i))
			}
		}
		return err
	})
	e.before = nil
	for _, p := range e.proxies {
		p.Handle(nil)
		e.before = append(e.before, len(p.Commands()))
	}
}

// sent is how many commands called name a node was sent since it is connected.
func (e *edgeBed) sent(node int, name string) (n int) {
	for _, command := range e.proxies[node].Commands()[e.before[node]:] {
		if command == name {
			n++
		}
	}
	return n
}

// sentAny is how many commands all nodes were sent since they are connected, the
// signs of life that idle connections are asked for apart.
func (e *edgeBed) sentAny() (n int) {
	for i, p := range e.proxies {
		n += len(p.Commands()[e.before[i]:]) - e.sent(i, "PING")
	}
	return n
}

// quieten returns when every command that was sent has been answered.
func (e *edgeBed) quieten(t *testing.T) {
	t.Helper()
	if err := e.m.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// awaitSent returns when each of the nodes was sent n commands called name.
func (e *edgeBed) awaitSent(t *testing.T, name string, n int, nodes ...int) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		for _, i := range nodes {
			if got := e.sent(i, name); got < n {
				return fmt.Errorf("node %d was sent %d times %s, want %d", i, got, name, n)
			}
		}
		return nil
	})
}

// whenSent calls do once each of the nodes was sent n commands called name. It
// does not wait. Where that does not come to pass the test fails, and do is called
// all the same.
func (e *edgeBed) whenSent(t *testing.T, do func(), name string, n int, nodes ...int) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for _, i := range nodes {
			for give := time.Now().Add(20 * time.Second); e.sent(i, name) < n; time.Sleep(time.Millisecond) {
				if time.Now().After(give) {
					t.Errorf("node %d was sent %d times %s, want %d", i, e.sent(i, name), name, n)
					break
				}
			}
		}
		do()
	}()
}

// takeOn writes value at key on the nodes, as another client would.
func (e *edgeBed) takeOn(t *testing.T, key, value string, ttl time.Duration, nodes ...int) {
	t.Helper()
	for _, i := range nodes {
		only := Quorum{Servers: e.Servers[i : i+1]}
		only.Take(t, 1, key, value, ttl)
	}
}

// holdCommands keeps commands called name from the nodes: these are silent and
// execute what they were sent when they are mended. An empty name is all.
func (e *edgeBed) holdCommands(name string, nodes ...int) { e.hold(proxy.ToServer, name, nodes) }

// holdReplies keeps the replies to commands called name: the nodes execute them
// and are silent. An empty name is all.
func (e *edgeBed) holdReplies(name string, nodes ...int) { e.hold(proxy.ToClient, name, nodes) }

func (e *edgeBed) hold(direction proxy.Direction, name string, nodes []int) {
	for _, i := range nodes {
		e.proxies[i].Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == direction && (name == "" || m.Name == name) {
				return proxy.Hold
			}
			return proxy.Pass
		})
	}
}

// cutOff ends the connections of the nodes, which refuse new ones from then on.
func (e *edgeBed) cutOff(nodes ...int) {
	for _, i := range nodes {
		e.proxies[i].Down()
	}
}

// delayReplies makes all replies of a node come later by d.
func (e *edgeBed) delayReplies(node int, d time.Duration) { e.proxies[node].Delay(proxy.ToClient, d) }

// mend lets everything pass again, what was held first.
func (e *edgeBed) mend(t *testing.T) {
	t.Helper()
	for _, p := range e.proxies {
		p.Handle(nil)
		p.Delay(proxy.ToClient, 0)
		p.Release()
		p.Up(t)
	}
}

// mustTake is a lock that is on every node.
func (e *edgeBed) mustTake(t *testing.T, opts ...redlock.LockOption) *redlock.Lock {
	t.Helper()
	lock, err := e.m.TryLock(t.Context(), e.Resource(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	e.WantEverywhere(t, lock.Resource(), lock.Token(), 10*time.Second)
	return lock
}

// soon is a bound for what waits for nothing, on a machine that has much to do:
// the bounds that must not be reached are longer by seconds.
const soon = 2 * time.Second

// timed is how long f took.
func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// atPause has a Lock call do before its nth pause, which lasts a millisecond, as
// all its others.
func atPause(n int, do func()) redlock.LockOption { return atPauses(map[int]func(){n: do}) }

func atPauses(do map[int]func()) redlock.LockOption {
	return redlock.WithBackoff(func(attempt int) time.Duration {
		if f := do[attempt]; f != nil {
			f()
		}
		return time.Millisecond
	})
}

// pauses has a Lock call make pauses of d, and counts them.
func pauses(d time.Duration, made *int) redlock.LockOption {
	return redlock.WithBackoff(func(int) time.Duration {
		*made++
		return d
	})
}

// wantOver fails unless the lock is over for the reason.
func wantOver(t *testing.T, lock *redlock.Lock, reason error) {
	t.Helper()
	wantMatch(t, lock.Err(), reason)
	if !isDone(lock.Done()) {
		t.Error("Done is open")
	}
	if lock.Valid() || lock.Remaining() != 0 {
		t.Errorf("Valid is %v, %v are left", lock.Valid(), lock.Remaining())
	}
}

// loseReplies is a rule of a proxy that cuts the connection where a script would
// be answered: it has been executed, and nobody knows.
func loseReplies(m proxy.Message) proxy.Action {
	if m.Direction == proxy.ToClient && m.Name == "EVALSHA" {
		return proxy.Reset
	}
	return proxy.Pass
}
