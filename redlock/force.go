package redlock

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// ForceUnlock drops resource, whoever holds it: it asks all nodes which tokens
// they keep, and releases exactly these, on all nodes. A holder that comes next
// is not hit. It waits for each node, a node timeout at most for the question
// and for the release. A resource that is free is no error. A lock of this
// manager that is dropped ends with [ErrLost] at once; other holders find out
// when they extend theirs.
//
// It returns nil if a majority of the nodes has confirmed that the resource is
// gone there, and otherwise [ErrNoQuorum]. What is not the value of a lock is
// left alone: a value that is no string, or of 1024 bytes and more.
func (m *Manager) ForceUnlock(ctx context.Context, resource string) error {
	key, err := m.beginFor(ctx, "force unlock", resource)
	if err != nil {
		return err
	}
	defer m.leave()
	gone, _ := m.forceUnlock(ctx, key)
	if t := gone.sum(); t.verdict() != won {
		return m.verdictError(ctx, "force unlock", resource, ErrNoQuorum, gone, t)
	}
	return nil
}

// forceUnlock releases key under every token that a node keeps it for. It
// returns which nodes confirm that it is gone, and whether it was removed from
// one of them.
func (m *Manager) forceUnlock(ctx context.Context, key string) (gone *ballot, removed bool) {
	timeout := m.nodeTimeout(m.cfg.TTL)
	s, _ := m.look(ctx, key, "", timeout, anything)
	found := s.findings()
	var values []string
	for _, f := range found {
		if f.there && f.odd == nil && !slices.Contains(values, f.value) {
			values = append(values, f.value)
		}
	}
	var releases []*ballot
	if ctx.Err() == nil && m.open.Err() == nil {
		asked := time.Now()
		ours := m.endHeld(key, values, asked)
		releases = m.putReleases(key, values)
		m.abandonAll(ours) // behind these releases: theirs are the votes that count here
		var tasks errgroup.Group
		for _, b := range releases {
			tasks.Go(func() error { b.wait(ctx, m.open, timeout); b.over.Store(true); return nil })
		}
		_ = tasks.Wait()
		m.abandonAll(m.endHeld(key, values, asked)) // one that was still being taken then
	}
	gone = newBallot(len(m.nodes), complete)
	for i, f := range found {
		v, err := f.gone(i, values, releases)
		gone.receive(&gone.commands[i], v, err)
	}
	return gone, slices.ContainsFunc(releases, func(b *ballot) bool { return b.sum().yes > 0 })
}

// endHeld ends the locks of this manager that are released under one of the
// values from then on, and were begun before; the caller abandons them.
func (m *Manager) endHeld(key string, values []string, asked time.Time) (ended []*Lock) {
	for _, value := range values {
		token, _ := splitFence(value)
		if l := m.heldUnder(key, token); l != nil && !l.start.After(asked) && l.Err() == nil && l.end(ErrLost) {
			ended = append(ended, l)
		}
	}
	return ended
}

// abandonAll takes back what may be left of locks that were dropped, and then
// tells of them: a handler of logs may take its time.
func (m *Manager) abandonAll(ended []*Lock) {
	for _, l := range ended {
		l.abandon()
	}
	for _, l := range ended {
		l.tellEnd(ErrLost, true)
	}
}

// putReleases sends a release for each value to all nodes: one that did not tell
// what it keeps may have it too.
func (m *Manager) putReleases(key string, values []string) []*ballot {
	releases := make([]*ballot, len(values))
	for i, value := range values {
		b := newBallot(len(m.nodes), complete)
		for at, n := range m.nodes {
			req := releaseRequest(key, value, n.db)
			b.commands[at].req = &req
			n.submit(&b.commands[at])
		}
		releases[i] = b
	}
	return releases
}

// gone judges whether the key is gone from node i, which was found like this and
// then asked for releases of the values. "0 deleted" of what was seen there says
// so too; of what was not, it says nothing.
func (f finding) gone(i int, values []string, releases []*ballot) (vote, error) {
	switch {
	case f.vote == refused:
		return granted, nil // it was free
	case f.odd != nil:
		return rejected, f.odd
	}
	failed := f.err
	for at, b := range releases {
		votes, errs := b.byNode()
		switch seen := f.there && f.value == values[at]; {
		case votes[i] == granted, seen && votes[i] == refused:
			return granted, nil
		case seen:
			failed = errs[i]
		}
	}
	if failed == nil {
		failed = errCutShort
	}
	return unknown, failed
}
