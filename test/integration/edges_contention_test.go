package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// abstentions are the ways in which a node does not vote.
var abstentions = map[string]struct {
	own  bool // it needs servers of its own
	make func(t *testing.T, e *edgeBed, node int)
}{
	"dead": {false, func(_ *testing.T, e *edgeBed, node int) { e.cutOff(node) }},
	"silent": {false, func(_ *testing.T, e *edgeBed, node int) {
		e.proxies[node].Handle(func(m proxy.Message) proxy.Action {
			if m.Direction == proxy.ToServer && acquires(m.Args) {
				return proxy.Hold
			}
			return proxy.Pass
		})
	}},
	"rejecting": {true, func(t *testing.T, e *edgeBed, node int) {
		e.order(t, node, "CONFIG", "SET", "min-replicas-to-write", "1")
	}},
	"misconfigured": {true, func(t *testing.T, e *edgeBed, node int) {
		e.order(t, node, "ACL", "SETUSER", "locker", "-set")
	}},
}

// order has a server execute a command.
func (e *edgeBed) order(t *testing.T, node int, command ...any) {
	t.Helper()
	if err := e.Servers[node].Client.Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
}

// abstaining runs a test for each way in which the nodes may not vote.
func abstaining(t *testing.T, nodes []int, test func(t *testing.T, e *edgeBed)) {
	t.Helper()
	cfg := redlock.Config{NodeTimeout: 400 * time.Millisecond, TTL: time.Minute}
	users := servers.Options{Users: []string{"locker on >pw ~* &* +@all"}}
	for name, abstention := range abstentions {
		run := func(t *testing.T, e *edgeBed) {
			for _, node := range nodes {
				abstention.make(t, e, node)
			}
			test(t, e)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !abstention.own {
				edgeRows(t, 3, cfg, run)
				return
			}
			rowsWith(t, 3, users, func(t *testing.T, q *Quorum) {
				run(t, newEdgeBed(t, q, cfg, func(node *redlock.Node) {
					node.Username, node.Password = "locker", "pw"
				}))
			})
		})
	}
}

func TestAGrantARefusalAndANodeThatDoesNotVoteAreContentionAndWaitedOut(t *testing.T) {
	abstaining(t, []int{2}, func(t *testing.T, e *edgeBed) {
		const held = 3 * time.Second
		resource := e.Resource(t)
		e.takeOn(t, resource, "someone", held, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var made int
		took := timed(func() {
			lock, err := e.m.Lock(ctx, resource, pauses(100*time.Millisecond, &made))
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Unlock(ctx); err != nil {
				t.Error(err)
			}
		})
		if took < held-time.Second || made < 3 {
			t.Errorf("it took %v and %d pauses: there was nothing to wait for", took, made)
		}
	})
}

func TestAMajorityThatDoesNotVoteIsNoQuorumAndGivenUp(t *testing.T) {
	abstaining(t, []int{1, 2}, func(t *testing.T, e *edgeBed) {
		resource := e.Resource(t)
		e.takeOn(t, resource, "someone", time.Minute, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var made int
		_, err := e.m.Lock(ctx, resource, pauses(100*time.Millisecond, &made))
		wantMatch(t, err, redlock.ErrNoQuorum)
		wantNoMatch(t, err, redlock.ErrTaken, context.DeadlineExceeded)
		if made < 2 {
			t.Errorf("it gave up after %d pauses", made)
		}
	})
}
