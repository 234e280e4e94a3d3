package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Resume adopts the lock that a majority of the nodes keeps for resource under
// token: one that another process has taken, or this one before it was
// restarted. Whoever had it must not use it any more. It waits for all nodes, a
// node timeout at most.
//
// The lock is valid for what a majority still keeps it for, less drift and
// [Config.Margin]; one that does not expire is resumed as such. [WithTTL] is
// what Extend sets, [WithMaxHold] counts from the Resume, and [WithToken] and
// [WithNoExpiry] have no place here. What the nodes keep is changed by none of
// them, and by no Resume that fails.
//
// Its error matches [ErrNotHeld] if a majority does not keep the lock under
// token, and [ErrExpired] too if it does, for less than can be trusted;
// [ErrNoQuorum] where missing answers could change that, or another call of this
// manager is asking for the same; [ErrAlreadyHeld] while this manager holds the
// lock; [ErrClosed]; or it is a *ConfigError.
func (m *Manager) Resume(ctx context.Context, resource, token string, opts ...LockOption) (lock *Lock, err error) {
	o, err := m.enter(resource, opts)
	if err != nil {
		return nil, err
	}
	defer func() { m.tellTaken(ctx, o, lock, err) }()
	defer m.leave()
	if err := o.resumes(token); err != nil {
		return nil, err
	}
	o.begun = time.Now()
	if err := ctx.Err(); err != nil {
		return nil, opError("resume", resource, err)
	}
	l := newLock(m, o)
	// A random token is used by nobody else: its releases can be repeated.
	_, made := ownerOf(token)
	l.given = !made
	last, err := m.uses.resume(l)
	if err != nil {
		return nil, m.alsoEnded(ctx, err)
	}
	if err := l.resume(ctx, o, last); err != nil {
		m.uses.notResumed(l, last)
		return nil, err
	}
	m.uses.tried(l)
	return l, nil
}

// resumes takes the token of the lock that is to be resumed, and refuses options
// that contradict it.
func (o *lockOptions) resumes(token string) error {
	switch {
	case o.token != "":
		return configErrorf("token", "expected as an argument of Resume alone, got WithToken too")
	case o.noExpiry:
		return configErrorf("WithNoExpiry",
			"expected to be left out of Resume, but it is used: the nodes know whether the lock expires")
	}
	o.token = token
	return checkToken(token)
}

var errReleasing = errors.New("an earlier release of this manager for the same token may still be on its way")

// resume asks the nodes for the lock, and makes it one of this manager's.
func (l *Lock) resume(ctx context.Context, o *lockOptions, last *use) error {
	m, token := l.m, l.Token()
	if other := m.heldUnder(l.key, token); other != nil {
		err := other.Err()
		if err == nil {
			return m.alsoEnded(ctx, alreadyHeld("resume", l.resource))
		}
		return m.alsoEnded(ctx, opError("resume", l.resource, err))
	}
	owed := last.debts()
	l.start = time.Now()
	s, t := m.look(ctx, l.key, token, m.nodeTimeout(l.ttl), func(n *node, at sighting) (vote, error) {
		switch {
		case !at.holds(token):
			return refused, nil
		case n.releasesLocked(l.key, token, owed):
			return rejected, errReleasing
		}
		return granted, nil
	})
	switch t.verdict() {
	case won:
	case beaten:
		return m.verdictError(ctx, "resume", l.resource, ErrNotHeld, s.ballot, t)
	default:
		return m.verdictError(ctx, "resume", l.resource, ErrNoQuorum, s.ballot, t)
	}
	kept := keptByMajority(l.adopt(s.findings()), t.total)
	if l.noExpiry = kept < 0; l.noExpiry {
		if o.maxHold > 0 {
			return configErrorf("WithMaxHold", "expected a lock that expires, but this one does not")
		}
		return m.hold(l)
	}
	l.trustFor(kept, o.maxHold)
	if !before(time.Now(), l.until) {
		return m.verdictError(ctx, "resume", l.resource, ErrExpired, s.ballot, t)
	}
	return m.hold(l)
}

// adopt lets what the nodes have told stand for the acquires of the lock: where
// it is to be released from. A node that has not answered may have it. Adopt
// returns how long the lock is kept by those that have.
func (l *Lock) adopt(found []finding) (left []time.Duration) {
	now, longest := time.Now(), l.ttl
	// Whoever sent those acquires has long seen them answered by a majority: a
	// release that deletes nothing is the end of it.
	elsewhere := &stream{gone: true}
	for i, f := range found {
		c := &l.ballot.commands[i]
		switch f.vote {
		case granted:
			c.state, c.vote, c.doneAt = answered, granted, now
			left = append(left, f.left)
			longest = max(longest, f.left)
			l.persisting = l.persisting || f.left < 0
		case refused:
			c.state, c.vote = answered, refused
		default:
			c.state, c.vote, c.stream = lost, granted, elsewhere
		}
	}
	l.lapse, l.span = now.Add(longest+afterlife), longest
	return left
}

// resume makes l the token's current use while the nodes are asked for it. It is
// no new use, for which nothing of the last one may be left: what is left is the
// lock itself. That last one is returned; nil if it is spent.
func (u *uses) resume(l *Lock) (last *use, err error) {
	u.endLast(l.key, l.Token())
	u.mu.Lock()
	defer u.mu.Unlock()
	name, now := [2]string{l.key, l.Token()}, time.Now()
	last = u.last[name]
	switch {
	case last == nil:
	case last.trying:
		return nil, opError("resume", l.resource,
			fmt.Errorf("%w: another call of this manager is asking for it", ErrNoQuorum))
	case last.held():
		return nil, alreadyHeld("resume", l.resource)
	case last.spent(now):
		last = nil
	}
	u.setLocked(name, &use{lock: l, trying: true, before: last}, now)
	return last, nil
}

// notResumed gives the token back to the use that it had.
func (u *uses) notResumed(l *Lock, last *use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := [2]string{l.key, l.Token()}
	if last == nil {
		delete(u.last, name)
		return
	}
	u.last[name] = last
}

// debts are those of the use and of what it stands before, each by node.
func (u *use) debts() (all [][]debt) {
	for ; u != nil; u = u.before {
		u.lock.mu.Lock()
		if debts := u.lock.debts; debts != nil {
			all = append(all, debts)
		}
		u.lock.mu.Unlock()
	}
	return all
}

// releasesLocked reports whether the node may yet execute a release of key under
// token, when it has just answered a question: releases that were queued
// before have been answered, or lost with their connection, or are sent again
// in full behind it, by a node that had lost its scripts. owed are the debts of
// earlier uses: the release of a token that was given is sent once, and the node
// does not remember it.
func (n *node) releasesLocked(key, token string, owed [][]debt) bool {
	for d := range n.debts {
		if d.releases(key, token) {
			return true
		}
	}
	underWay := func(c *command) bool {
		return c.req.kind == release && c.req.key == key && c.req.token == token && (c.state == queued || c.state == sent)
	}
	if slices.ContainsFunc(n.queue, underWay) || n.stream != nil && slices.ContainsFunc(n.stream.flight, underWay) {
		return true
	}
	return slices.ContainsFunc(owed, func(debts []debt) bool {
		d := &debts[n.index]
		return !d.settled && (d.asking || d.unsure)
	})
}
