package otelredlock_test

import (
	"testing"

	"github.com/redlock-go/redlock/redlock"
)

func TestTheStatusOfANodeFollowsIt(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	if err := b.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := (<-b.turned).Node
	up, down := inState(name, "up"), inState(name, "down")
	b.want("redlock.node.status", counts{up: 1, down: 0})
	b.want("redlock.node.transitions", counts{up: 1})

	b.quorum.StopNode(0)
	if e := <-b.turned; e.Err == nil || e.Node != name {
		t.Fatalf("got %v, want that %s is down", e, name)
	}
	b.want("redlock.node.status", counts{up: 0, down: 1})
	b.want("redlock.node.transitions", counts{up: 1, down: 1})

	b.quorum.StartNode(0)
	<-b.turned
	b.want("redlock.node.status", counts{up: 1, down: 0})
	b.want("redlock.node.transitions", counts{up: 2, down: 1})
}

func TestANodeThatWasNeverUpIsDown(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	b.quorum.StopNode(0)
	_ = b.Ping(t.Context())
	name := (<-b.turned).Node
	b.want("redlock.node.status", counts{inState(name, "up"): 0, inState(name, "down"): 1})
	b.want("redlock.node.transitions", counts{inState(name, "down"): 1})
}

func TestWhatIsKnownOfANodeIsCountedOnce(t *testing.T) {
	t.Parallel()
	g := newGauge(t)
	for range 2 {
		g.hooks.NodeUp(redlock.NodeEvent{Node: "a"})
	}
	g.hooks.NodeDown(redlock.NodeEvent{Node: "b"})
	g.want("redlock.node.status", counts{
		inState("a", "up"): 1, inState("a", "down"): 0,
		inState("b", "up"): 0, inState("b", "down"): 1,
	})
	g.want("redlock.node.transitions", counts{inState("a", "up"): 1, inState("b", "down"): 1})
}

func inState(node, state string) string {
	return "redlock.node.name=" + node + ",redlock.node.state=" + state
}
