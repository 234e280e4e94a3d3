package redlock

import (
	"context"
	"time"
)

// State is what the nodes know about a resource. Its fields can be read;
// formatting and JSON shorten the token.
type State struct {
	Resource  string
	Locked    bool
	Token     string
	Owner     string
	Remaining time.Duration // negative: no expiry
	Fence     uint64        // 0: none
	Nodes     []NodeState   // in the order of Config.Nodes
}

// NodeState is what one node knows about a resource.
type NodeState struct {
	Node      string
	Token     string
	Owner     string
	Remaining time.Duration // negative: no expiry
	Err       error
}

// Inspect gives a *ConfigError: it is not available in this version.
func (m *Manager) Inspect(context.Context, string) (State, error) {
	return State{}, unavailable("Inspect")
}

// Resume gives a *ConfigError: it is not available in this version.
func (m *Manager) Resume(context.Context, string, string, ...LockOption) (*Lock, error) {
	return nil, unavailable("Resume")
}

// ForceUnlock gives a *ConfigError: it is not available in this version.
func (m *Manager) ForceUnlock(context.Context, string) error { return unavailable("ForceUnlock") }

// ForceUnlockAll gives a *ConfigError: it is not available in this version.
func (m *Manager) ForceUnlockAll(context.Context, string) (int, error) {
	return 0, unavailable("ForceUnlockAll")
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
		return false, m.alsoEnded(ctx, err)
	}
	if err := ctx.Err(); err != nil {
		return false, notAsked("is held", l.resource, err)
	}
	req := extendRequest(l.key, l.Token(), 0)
	b, t := m.ask(ctx, &req, decided, m.nodeTimeout(l.ttl))
	switch t.verdict() {
	case won:
		err := l.Err()
		return err == nil, m.alsoEnded(ctx, err)
	case beaten:
		return false, m.alsoEnded(ctx, l.notOurs(ctx, "is held", b, t))
	}
	return false, m.verdictError(ctx, "is held", l.resource, ErrNoQuorum, b, t)
}

// IsLocked reports whether a majority of the nodes has resource locked, for
// whomever. Where missing answers could change that, it returns [ErrNoQuorum].
func (m *Manager) IsLocked(ctx context.Context, resource string) (bool, error) {
	if err := m.begin(); err != nil {
		return false, err
	}
	defer m.leave()
	key, err := m.key(resource)
	if err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, notAsked("is locked", resource, err)
	}
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
