package redlock

import (
	"cmp"
	"context"
	"time"
)

// State is what the nodes know about a resource. Its fields can be read;
// formatting and JSON shorten the token.
type State struct {
	Resource string

	// Locked says that a majority of the nodes has something under the name of the
	// resource, whoever has put it there.
	Locked bool

	// Token, Owner, Remaining and Fence are those of the holder: of the token that
	// a majority has. They are empty where no token has one.
	Token     string
	Owner     string        // the label of the manager that made the token; empty if WithToken or another program did
	Remaining time.Duration // for which a majority keeps the lock; negative: no expiry
	Fence     uint64        // 0: none

	Nodes []NodeState // in the order of Config.Nodes
}

// NodeState is what one node knows about a resource. It is locked there if
// Token is not empty.
type NodeState struct {
	Node      string
	Token     string
	Owner     string
	Remaining time.Duration // negative: no expiry

	// Err says why the node has not told, or that what it keeps under the name of
	// the resource is not the value of a lock.
	Err error
}

// Inspect says who holds resource, by majority and node by node. It waits for
// all nodes, a node timeout at most. Where missing answers could change whether
// the resource is locked, it returns what it has, and [ErrNoQuorum].
func (m *Manager) Inspect(ctx context.Context, resource string) (State, error) {
	key, err := m.beginFor(ctx, "inspect", resource)
	if err != nil {
		return State{}, err
	}
	defer m.leave()
	s, t := m.look(ctx, key, "", m.nodeTimeout(m.cfg.TTL), anything)
	state := m.state(resource, s.findings())
	switch v := t.verdict(); {
	case m.open.Err() != nil && !complete(t):
		return state, ErrClosed
	case v == won, v == beaten:
		return state, nil
	}
	return state, m.verdictError(ctx, "inspect", resource, ErrNoQuorum, s.ballot, t)
}

// state makes a State of what the nodes have told.
func (m *Manager) state(resource string, found []finding) State {
	state := State{Resource: resource, Nodes: make([]NodeState, len(found))}
	locked := 0
	fences := make(map[string]uint64)
	left := make(map[string][]time.Duration) // of each token, on the nodes that have it
	for i, f := range found {
		n := NodeState{Node: m.nodes[i].name, Err: cmp.Or(f.err, f.odd)}
		if f.there {
			locked++
		}
		if f.there && f.odd == nil {
			var fence uint64
			n.Token, fence = splitFence(f.value)
			n.Owner, _ = ownerOf(n.Token)
			n.Remaining = f.left
			left[n.Token] = append(left[n.Token], f.left)
			fences[n.Token] = max(fences[n.Token], fence)
		}
		state.Nodes[i] = n
	}
	state.Locked = locked >= majority(len(found))
	for token, kept := range left {
		if len(kept) >= majority(len(found)) {
			state.Token, state.Fence = token, fences[token]
			state.Owner, _ = ownerOf(token)
			state.Remaining = keptByMajority(kept, len(found))
		}
	}
	return state
}

// IsHeld reports whether a majority of the nodes confirms that the lock is
// still this one. Of a lock that is over it is false with the lock's Err,
// without I/O. If a majority says that it is not ours, it is over: false and
// [ErrLost]. Where missing answers could change that, it returns [ErrNoQuorum].
func (l *Lock) IsHeld(ctx context.Context) (bool, error) {
	m := l.m
	if err := m.begin(); err != nil {
		return false, err
	}
	defer m.leave()
	if err := l.Err(); err != nil {
		return false, l.endedIn(ctx, "is held", err)
	}
	if err := ctx.Err(); err != nil {
		return false, opError("is held", l.resource, err)
	}
	req := extendRequest(l.key, l.Token(), 0)
	b, t := m.ask(ctx, &req, decided, m.nodeTimeout(l.ttl))
	switch t.verdict() {
	case won:
		err := l.Err()
		return err == nil, l.endedIn(ctx, "is held", err)
	case beaten:
		return false, l.endedIn(ctx, "is held", l.notOurs(ctx, "is held", b, t))
	}
	return false, m.verdictError(ctx, "is held", l.resource, ErrNoQuorum, b, t)
}

// IsLocked reports whether a majority of the nodes has resource locked, for
// whomever. Where missing answers could change that, it returns [ErrNoQuorum].
func (m *Manager) IsLocked(ctx context.Context, resource string) (bool, error) {
	key, err := m.beginFor(ctx, "is locked", resource)
	if err != nil {
		return false, err
	}
	defer m.leave()
	req := existsRequest(key)
	b, t := m.ask(ctx, &req, decided, m.nodeTimeout(m.cfg.TTL))
	switch t.verdict() {
	case won:
		return true, nil
	case beaten:
		return false, nil
	}
	return false, m.verdictError(ctx, "is locked", resource, ErrNoQuorum, b, t)
}
